"""The judge of the cells of conversations, responses and sessions finds what is wrong with a warehouse."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pipeline.emulator import generate_corpus, running_emulator
from pipeline.warehouse.database import warehouse_path
from tests.faults.cell import Cell, Ended, Gap, Outcome, make_lists
from tests.faults.successor_account import SyncSuccessors, session_of
from tests.faults.successor_judging import SuccessorJudge

SYNC = SyncSuccessors("agents", session=2)
WHOLE = Cell("Successors", "fault", "turn items", Outcome(), judge=SuccessorJudge(SYNC))


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    with running_emulator(generate_corpus(threads=1)) as server:
        return SYNC(make_lists(), server, tmp_path_factory.mktemp("synced"))


def problems(cell: Cell, ended: Ended) -> list[str]:
    return [] if cell.judge is None else list(cell.judge(cell, ended))


def test_a_sound_sync_is_right_and_one_that_should_have_failed_is_not(synced: Ended) -> None:
    assert problems(WHOLE, synced) == []
    session = session_of(2)
    gap = Gap(session.session["id"], session.turns[0].after["id"], kept=2)
    failed = replace(WHOLE, outcome=Outcome(exit_code=4, verdict="failed", gap=gap))
    assert problems(failed, synced) == [
        "exit code 0 in place of 4",
        f"it does not name {gap.thread_id}",
        f"walks that are not complete: {{}} in place of {{'{gap.thread_id}': 'failed'}}",
    ]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("delete from runs where run_id = $run", "1 runs differ"),
        ("insert into runs select * replace ('other' as source) from runs where run_id = $run", "a run is there twice"),
        ("update runs set total_tokens = total_tokens + 1 where run_id = $run", "1 runs differ"),
        ("update runs set thread_id = 'another' where run_id = $run", "1 runs differ"),
        ("delete from tool_calls where run_id = $run and type = 'command_execution'", "1 runs differ"),
        ("update tool_calls set output = null where run_id = $run and type = 'function'", "1 runs differ"),
        ("update walks set verdict = 'broken' where thread_id = $thread", "walks that are not complete"),
    ],
)
def test_what_the_warehouse_lacks_has_twice_or_otherwise_is_found(
    synced: Ended, tmp_path: Path, damage: str, problem: str
) -> None:
    session = session_of(2)
    given = {"run": session.turns[0].after["id"], "thread": session.session["id"]}
    path = warehouse_path(tmp_path)
    path.write_bytes(warehouse_path(synced.data_dir).read_bytes())
    with duckdb.connect(path) as connection:
        [(changed,)] = connection.execute(
            damage, {name: given[name] for name in given if f"${name}" in damage}
        ).fetchall()
    assert changed > 0

    first, *_ = problems(WHOLE, replace(synced, data_dir=tmp_path))
    assert first.startswith(problem)


@pytest.mark.parametrize(
    ("damage", "is_right"),
    [
        ("delete from tool_calls where run_id = $run", True),
        ("update tool_calls set type = 'web_search' where run_id = $run", False),
        ("update runs set total_tokens = total_tokens + 1 where run_id = $run", False),
        ("delete from tool_calls where run_id <> $run", False),
    ],
)
def test_a_struck_turn_may_lack_calls_and_nothing_else(
    synced: Ended, tmp_path: Path, damage: str, is_right: bool
) -> None:
    session = session_of(2)
    gap = Gap(session.session["id"], session.turns[0].after["id"], kept=2)
    path = warehouse_path(tmp_path)
    path.write_bytes(warehouse_path(synced.data_dir).read_bytes())
    with duckdb.connect(path) as connection:
        connection.execute(damage, {"run": gap.run_id})
        connection.execute("update walks set verdict = 'failed' where thread_id = $thread", {"thread": gap.thread_id})
    cell = replace(WHOLE, outcome=Outcome(exit_code=4, verdict="failed", gap=gap))

    found = problems(cell, Ended(4, str(gap.thread_id), tmp_path))

    assert (found == []) is is_right
