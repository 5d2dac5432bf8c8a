"""A few cells of the matrix, one of each kind, and the document that `make faults` writes; the rest is run by that."""

from pathlib import Path

import pytest

from tests.faults.cell import Lists, make_lists
from tests.faults.matrix import all_cells
from tests.faults.running import run_cell

DOCUMENT = Path(__file__).parents[1] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def lists() -> Lists:
    return make_lists()


@pytest.mark.parametrize(
    "fault, stage",
    [
        ("503, three in a row", "steps"),
        ("reset in the middle of a body, for ever", "steps"),
        ("A-B-A: a cycle of two pages", "steps"),
        ("the cursor expires once (400)", "runs"),
        ("the item of the cursor is deleted while paging", "steps"),
        ("tokens are strings", "steps"),
        ("id is null", "runs"),
        ("raw part with one flipped bit", "before the load"),
        ("the clock is set an hour back while runs go on", "between syncs"),
        ("the clock jumps a day on and back, again and again", "sync"),
        ("SIGINT, then the same command again", "load"),
    ],
)
def test_a_fault_leaves_nothing_out_that_is_not_named(lists: Lists, fault: str, stage: str) -> None:
    [cell] = [cell for cell in all_cells(lists) if (cell.fault, cell.stage) == (fault, stage)]

    assert run_cell(cell, lists).problems == []


def test_the_document_has_every_fault_and_none_that_is_wrong(lists: Lists) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    # What needs a mount is written where one can be made, and is no cell where not.
    assert {cell.fault for cell in all_cells(lists) if f"| {cell.fault} |" not in text} == set()
    assert "WRONG" not in text
