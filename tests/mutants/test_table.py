"""The faults that `make mutants` plants all fit, one is really caught, and the document has every one of them."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.groups import GROUPS, all_mutants
from tests.mutants.mutant import Mutant, apply
from tests.mutants.planting import ROOT, Outcome, judge, take_snapshot, try_mutant
from tests.mutants.table import read_table, render_table, row_start


@cache
def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def names_in(name: str) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(read(f"tests/{name}"))) if isinstance(node, ast.FunctionDef)}


def test_there_are_enough_and_each_is_another() -> None:
    mutants = all_mutants()

    assert len(mutants) >= 50
    assert len({mutant.fault for mutant in mutants}) == len(mutants)
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in mutants}) == len(mutants)


@pytest.mark.parametrize("group", GROUPS)
def test_every_fault_has_one_place_and_changes_it(group: str) -> None:
    misfits = []
    for mutant in GROUPS[group]:
        try:
            apply(mutant, read(mutant.file))
        except ValueError as error:
            misfits.append(str(error))

    assert misfits == [], "the code has changed: give these in tests/mutants/ the text that now stands there"
    assert [mutant.fault for mutant in GROUPS[group] if mutant.old == mutant.new] == []


def test_every_fault_names_tests_that_there_are() -> None:
    missing = [
        test
        for mutant in all_mutants()
        for test in mutant.tests
        if test.partition("::")[2] not in names_in(test.partition("::")[0])
    ]

    assert missing == []
    assert [mutant.fault for mutant in all_mutants() if not mutant.tests] == []


def test_a_fault_without_a_place_or_with_two_is_refused() -> None:
    for text, places in (("", 0), ("a = 1\na = 1\n", 2)):
        with pytest.raises(ValueError, match=f"has its text {places} times"):
            apply(Mutant("a fault", "a thing", "a.py", "a = 1", "a = 2", ()), text)


def test_a_fault_planted_into_a_copy_is_caught_there(tmp_path: Path) -> None:
    [mutant] = [mutant for mutant in all_mutants() if mutant.fault == "last_id goes before the last item"]

    outcome = try_mutant(mutant, take_snapshot(tmp_path / "snapshot"), tmp_path)

    assert (outcome.verdict, outcome.red) == ("caught", tuple(mutant.node_ids)), outcome.reason


@pytest.mark.parametrize(
    ("code", "said", "verdict", "reason"),
    [
        (0, "1 passed", "survived", ""),
        (1, "E   assert 1 == 2\nFAILED tests/test_a.py::test_b[1] - assert 1 == 2", "caught", ""),
        (1, "E   RuntimeError: no\nERROR tests/test_a.py::test_b - RuntimeError", "caught", ""),
        (
            1,
            "E   NameError: x\nFAILED tests/test_a.py::test_b - NameError",
            "refused",
            "the product is broken: E   Name",
        ),
        (2, "ERROR tests/test_a.py - SyntaxError", "refused", "pytest ended with 2: ERROR tests/test_a.py - Syn"),
        (4, "ERROR: not found", "refused", "pytest ended with 4: ERROR: not found"),
        (5, "no tests ran", "refused", "pytest ended with 5: no tests ran"),
        (None, "", "refused", "its tests did not end within"),
    ],
)
def test_only_a_test_that_ran_and_failed_has_caught_a_fault(
    code: int | None, said: str, verdict: str, reason: str
) -> None:
    outcome = judge(all_mutants()[0], code, said)

    assert outcome.verdict == verdict
    assert outcome.reason.startswith(reason)
    if verdict == "caught":
        assert outcome.red == ("tests/test_a.py::test_b",)


def test_a_document_is_read_back_as_it_was_written() -> None:
    first, second = (Outcome(mutant, "caught", tuple(mutant.node_ids)) for mutant in all_mutants()[:2])

    rows = read_table(render_table({"a group": [first], "another": [second]}))

    assert rows == {row_start(outcome.mutant): outcome.red for outcome in (first, second)}


def test_the_document_has_every_fault_and_none_that_was_not_caught() -> None:
    text = read("docs/mutants.md")

    assert [mutant.fault for mutant in all_mutants() if f"| {mutant.fault} | {mutant.breaks} |" not in text] == []
    assert f"{len(all_mutants()):,} mutants, {len(all_mutants()):,} caught." in text
    assert f"plants {len(all_mutants()):,} faults" in read("docs/proof.md")
