"""The proofs of reliability can fail: a fault that did not come, another outcome or a bad figure is judged wrong."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import pytest

from bench.measure import Measurement
from pipeline.emulator import running_emulator
from tests.faults.cell import Cell, Ended, Gap, Json, Lists, Outcome, lengthened, make_lists
from tests.faults.document import read_section, write_section
from tests.faults.judging import find_problems
from tests.faults.load import Load, Size, Sync
from tests.faults.machine_acts import judge_both
from tests.faults.matrix import all_cells
from tests.faults.running import Result, run_cell
from tests.faults.table import Matrix, matrix_of, read_table, render_table, replaced
from tests.warehouses import make_empty

DAY = date(2026, 11, 20)
CELLS = [
    Cell("HTTP", "503 for ever", "runs", Outcome(exit_code=4, verdict="failed", gap=Gap("thread_1"))),
    Cell("HTTP", "429 once (a fraction)", "steps", Outcome(rejects=1_200)),
    Cell("Cursors", "inserted", "steps", Outcome(), limit="all but it (see `sync --full`): it is on no page"),
    Cell("Machine", "disk full", "load", Outcome(), needs_mount=True),
]


@pytest.fixture(scope="module")
def lists() -> Lists:
    return make_lists()


@pytest.fixture(scope="module")
def cells(lists: Lists) -> list[Cell]:
    return all_cells(lists)


def choose(cells: list[Cell], fault: str, stage: str) -> Cell:
    [cell] = [cell for cell in cells if (cell.fault, cell.stage) == (fault, stage)]
    return cell


# --- the fault came -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault, stage",
    [("503, three in a row", "steps"), ("full last page says more", "runs"), ("a cycle of ten pages", "steps")],
)
def test_a_cell_without_its_rule_is_wrong(lists: Lists, cells: list[Cell], fault: str, stage: str) -> None:
    cell = replace(choose(cells, fault, stage), rules=())

    assert run_cell(cell, lists).problems == ["nothing goes wrong in this cell"]


def test_every_cell_has_something_that_goes_wrong(cells: list[Cell]) -> None:
    faults = [(cell.rules, cell.act, cell.base_url, cell.corpus, cell.served) for cell in cells]

    assert [cell for cell, fault in zip(cells, faults, strict=True) if not any(fault)] == []


def test_a_cell_whose_account_is_the_sound_one_is_wrong(lists: Lists, cells: list[Cell]) -> None:
    cell = replace(choose(cells, "tokens beyond 64 bits", "runs"), served=lambda lists: lists.corpus)

    assert run_cell(cell, lists).problems == ["the account that is served is the sound one"]


def test_a_fault_that_strikes_less_often_than_it_says_is_wrong(lists: Lists, cells: list[Cell]) -> None:
    cell = choose(cells, "503, three in a row", "steps")
    elsewhere = replace(cell, rules=[{**cell.rules[0], "match": {"run_id": "run_of_nobody"}}])

    assert run_cell(elsewhere, lists).problems == ["the fault status struck 0 times in place of 3"]


def test_a_fault_that_changes_no_answer_has_not_struck(lists: Lists) -> None:
    longer = lengthened(lists, 300)
    rule = {"fault": "full_last_page_more", "route": "list_runs"}
    struck = []

    for corpus in (lists.corpus, longer.corpus):
        with running_emulator(corpus) as server:
            server.set_faults([rule, {"fault": "record", "kind": "negative_tokens", "route": "list_threads"}])
            url = f"{server.base_url}/threads/{lists.long_thread}/runs?limit=100&order=asc"
            after = ""
            for _ in range(3):
                answer = httpx.get(url + after, headers={"Authorization": f"Bearer {server.api_key}"}).json()
                after = f"&after={answer['last_id']}" if answer["has_more"] else after
            struck.append(server.struck())

    # The last page of 120 runs has 20.
    assert struck == [[0, 0], [1, 0]]


def test_a_longer_list_has_as_many_runs_and_steps_under_ids_of_their_own(lists: Lists) -> None:
    longer = lengthened(lists, 1050)
    runs = [run for thread in longer.corpus.threads for run in thread.runs]
    steps = [step.object_id for run in runs for step in run.steps]

    assert [len(t.runs) for t in longer.corpus.threads if t.item.object_id == longer.long_thread] == [1050]
    assert [len(run.steps) for run in runs if run.item.object_id == longer.long_run] == [1050]
    assert len({run.item.object_id for run in runs}) == len(runs)
    assert len(set(steps)) == len(steps) == longer.corpus.truth(0).steps


# --- the outcome ----------------------------------------------------------------------------------------------------


def test_texts_that_are_cut_and_instants_that_are_others_are_wrong(lists: Lists, cells: list[Cell]) -> None:
    cell = choose(cells, "10 MB of logs in one call", "steps")
    short = {**cell.rules[0], "bytes": 9_999}

    def becomes(record: Json, position: int) -> Json | None:
        record = {**record, "created_at": record["created_at"] + (position == 0)}
        return cell.outcome.patch(record, position) if cell.outcome.patch else None

    result = run_cell(replace(cell, rules=[short], outcome=replace(cell.outcome, patch=becomes)), lists)

    assert [problem.partition(":")[0] for problem in result.problems] == ["bytes of logs", "created_at of run_steps"]


def test_a_known_limit_that_has_healed_is_wrong(lists: Lists, cells: list[Cell]) -> None:
    limit = choose(cells, "an item is inserted before the cursor while paging", "steps")
    found = choose(cells, "an item is added at the end while paging", "steps")

    result = run_cell(replace(limit, act=found.act), lists)

    assert result.text == "WRONG"
    assert any(problem.startswith("steps: ") for problem in result.problems)


def test_a_known_limit_with_another_outcome_is_no_known_limit() -> None:
    assert Result(CELLS[2]).text == "known limit"
    assert Result(CELLS[2], ["exit code 4 in place of 0"]).text == "WRONG"


@pytest.mark.parametrize(
    "outcome, stage, output, problems",
    [
        (
            Outcome(exit_code=4, verdict="failed", gap=Gap()),
            "runs",
            "warning: {first}",
            ["it does not name {others}", "there is no warehouse"],
        ),
        (Outcome(exit_code=4, verdict="failed", gap=Gap()), "list of threads", "error: /threads: HTTP 400", []),
        (Outcome(exit_code=4, verdict="failed", gap=Gap()), "list of threads", "", ["it does not name /threads"]),
        (
            Outcome(exit_code=3, verdict="refused", gap=Gap(), says="refuses us"),
            "runs",
            "refuses us",
            ["there is no warehouse"],
        ),
    ],
)
def test_what_is_missing_must_be_named(
    lists: Lists, tmp_path: Path, outcome: Outcome, stage: str, output: str, problems: Sequence[str]
) -> None:
    first, *others = lists.corpus.thread_ids()
    ended = Ended(outcome.exit_code, output.format(first=first), tmp_path / "data")

    found = list(find_problems(Cell("HTTP", "fault", stage, outcome), lists.corpus, ended))

    said = [problem.format(others=other) for problem in problems for other in (others if "others" in problem else [""])]
    assert found == said


def test_lists_of_which_nobody_wrote_down_that_they_failed_are_wrong(lists: Lists, tmp_path: Path) -> None:
    make_empty(tmp_path / "data" / "warehouse.duckdb")
    outcome = Outcome(exit_code=4, verdict="failed", gap=Gap())
    ended = Ended(4, " ".join(lists.corpus.thread_ids()), tmp_path / "data")

    assert list(find_problems(Cell("HTTP", "fault", "list of threads", outcome), lists.corpus, ended)) == [
        "it does not name /threads"
    ]
    [problem] = find_problems(Cell("HTTP", "fault", "runs", outcome), lists.corpus, ended)
    assert problem.startswith("walks that are not as they should be: ")


@pytest.mark.parametrize("codes", [(0, -11), (-9, 0), (6, 6), (0, 4), (1, 0)])
def test_of_two_syncs_at_once_both_must_end_well_or_one_wait_too_long(codes: tuple[int, int]) -> None:
    assert (judge_both(0, 0), judge_both(6, 0)) == (0, 0)

    with pytest.raises(AssertionError, match="exit codes"):
        judge_both(*codes)


# --- the document ---------------------------------------------------------------------------------------------------


def matrix() -> Matrix:
    return matrix_of([Result(CELLS[0]), Result(CELLS[1]), Result(CELLS[2]), Result(CELLS[3], has_run=False)], DAY)


def test_a_document_is_read_as_the_matrix_that_it_was_written_from() -> None:
    text = render_table(matrix())

    assert read_table(text) == matrix()
    assert "4 cells, 3 right, 1 of them known limits, 1 not run here." in text
    assert "| disk full | not run here |" in text


@pytest.mark.parametrize(
    "written, by_hand",
    [("3 right", "4 right"), ("\n## HTTP", "\nNot all of it ran today.\n\n## HTTP"), (" 1,200 rejects", "")],
)
def test_what_is_written_by_hand_is_not_what_the_generator_writes(written: str, by_hand: str) -> None:
    text = render_table(matrix()).replace(written, by_hand, 1)

    assert render_table(read_table(text)) != text or read_table(text) != matrix()


def test_a_group_that_runs_alone_leaves_the_others_with_their_day(tmp_path: Path) -> None:
    later = date(2026, 11, 21)
    write_section(tmp_path / "document.md", "matrix", render_table(matrix()))
    old = read_table(read_section(tmp_path / "document.md", "matrix") or "")

    new = replaced(old, matrix_of([Result(CELLS[0], ["exit code 1 in place of 4"])], later))

    assert new.ran_on == {"HTTP": later, "Cursors": DAY, "Machine": DAY}
    assert [(entry.group, entry.text) for entry in new.entries] == [
        ("HTTP", "WRONG"),
        ("Cursors", "known limit"),
        ("Machine", "not run here"),
    ]


# --- the load -------------------------------------------------------------------------------------------------------


def load(*, small_mb: float = 500.0, large_mb: float = 600.0, tenths: Sequence[float] = (100.0,) * 10) -> Load:
    def size(peak_mb: float, rates: Sequence[float]) -> Size:
        measurement = Measurement(wall_s=1.0, cpu_s=1.0, peak_mb=peak_mb, exit_code=0, last_line="", error="")
        sync = Sync(measurement, 1, 1, list(rates))
        return Size(1, 1, 1, 1, sync, sync, [])

    return Load(size(small_mb, (100.0,)), size(large_mb, tenths))


@pytest.mark.parametrize(
    "measured, problems",
    [
        (load(), []),
        (load(large_mb=880.0), ["ten times the account takes 880 MB in place of 500 MB: more than 1.75 times"]),
        (load(small_mb=950.0, large_mb=901.0), ["950 MB in one sync: more than 900"]),
        (load(tenths=[*[100.0] * 9, 49.0]), ["49 requests a second at the end, in the median tenth 100"]),
        (load(tenths=[*[100.0] * 9, 51.0]), []),
    ],
)
def test_a_load_with_too_much_memory_or_a_pace_that_falls_is_wrong(measured: Load, problems: Sequence[str]) -> None:
    assert sorted(measured.problems) == problems
