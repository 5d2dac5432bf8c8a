"""A few cells of the matrix, one of each kind, and the document that `make faults` writes; the rest is run by that."""

from pathlib import Path

import pytest

from tests.faults.cell import Cell, Lists, make_lists
from tests.faults.document import read_section
from tests.faults.kill_commands import COMMANDS
from tests.faults.matrix import all_cells
from tests.faults.running import WRONG, run_cell
from tests.faults.table import Matrix, read_table, render_table

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def lists() -> Lists:
    return make_lists()


@pytest.fixture(scope="module")
def cells(lists: Lists) -> list[Cell]:
    return all_cells(lists)


@pytest.fixture(scope="module")
def section() -> str:
    text = read_section(DOCUMENT, "matrix")
    assert text is not None, "the document has no matrix: make faults"
    return text


@pytest.fixture(scope="module")
def documented(section: str) -> Matrix:
    return read_table(section)


@pytest.mark.parametrize(
    "fault, stage",
    [
        ("503, three in a row", "steps"),
        ("reset in the middle of a body, for ever", "steps"),
        ("401 for ever", "runs"),
        ("A-B-A: a cycle of two pages", "runs"),
        ("the cursor expires once (400)", "runs"),
        ("the item of the cursor is deleted while paging", "steps"),
        ("an item is inserted before the cursor while paging", "steps"),
        ("tokens are strings", "steps"),
        ("id is null", "runs"),
        ("items of others among its own", "steps"),
        ("404 for ever", "turns"),
        ("pages repeat the last item", "turn items"),
        ("the cursor skips an item", "turn items"),
        ("200 with half a JSON, for ever", "named responses"),
        ("raw part with one flipped bit", "before the load"),
        ("the clock is set an hour back while runs go on", "between syncs"),
        ("the clock jumps a day on and back, again and again", "sync"),
        ("two syncs at once", "sync"),
        ("SIGINT, then the same command again", "load"),
    ],
)
def test_a_fault_leaves_nothing_out_that_is_not_named(lists: Lists, cells: list[Cell], fault: str, stage: str) -> None:
    [cell] = [cell for cell in cells if (cell.fault, cell.stage) == (fault, stage)]

    assert run_cell(cell, lists).problems == []


def test_no_two_cells_have_the_same_place_in_the_document(cells: list[Cell]) -> None:
    assert len({str(cell) for cell in cells}) == len(cells)


def test_the_document_has_every_cell_and_no_other(cells: list[Cell], documented: Matrix) -> None:
    wanted = {(cell.group, cell.fault, cell.stage) for cell in cells}

    assert {(entry.group, entry.fault, entry.stage) for entry in documented.entries} == wanted
    assert len(documented.entries) == len(cells)


def test_the_document_has_nothing_wrong_and_the_known_limits_that_the_cells_name(
    cells: list[Cell], documented: Matrix
) -> None:
    limits = {(cell.fault, cell.stage): cell.limit for cell in cells if cell.limit}

    assert [entry for entry in documented.entries if entry.text == WRONG] == []
    assert {(entry.fault, entry.stage): entry.limit for entry in documented.entries if entry.limit} == limits


def test_every_word_of_the_documents_matrix_is_its_generators(section: str, documented: Matrix) -> None:
    assert render_table(documented) == section


def test_the_document_has_every_command_that_is_killed() -> None:
    text = read_section(DOCUMENT, "kills") or ""

    assert [command.name for command in COMMANDS if f"\n| {command.name} |" not in text] == []
