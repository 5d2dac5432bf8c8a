"""A whole sync against the emulator: the warehouse says what the server has, and asks for nothing twice."""

import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.errors import IncompleteError
from pipeline.extract.fetching import Progress
from pipeline.raw.places import raw_store
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import rebuild
from tests.measuring import counts, measured
from tests.syncs import read_all, read_tables, sync_here

TERMINAL = {"completed", "failed", "cancelled", "expired", "incomplete"}
# What may grow with each sync, and the time of the last look at a thread.
BOOKKEEPING = ("syncs", "walks", "loaded_parts")
SEEN = {"threads": ["last_synced_at"]}
# Where a run that is still open was seen last.
PLACE = ["walk_id", "page_index", "observed_at"]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=40)


@pytest.fixture(scope="module")
def first_sync(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of one sync of such a server."""
    folder = tmp_path_factory.mktemp("first")
    with running_emulator(corpus) as server:
        sync_here(server, folder)
    return folder


@pytest.fixture(scope="module")
def two_syncs(first_sync: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a second one, before which the server went on; no server is left to ask."""
    folder = tmp_path_factory.mktemp("second")
    shutil.copytree(first_sync, folder, dirs_exist_ok=True)
    with running_emulator(corpus) as server:
        server.advance()
        sync_here(server, folder)
    return folder


@pytest.fixture
def synced(first_sync: Path, tmp_path: Path) -> Path:
    """A data folder of a test's own, after a sync of what its own server has."""
    return Path(shutil.copytree(first_sync, tmp_path / "synced"))


def assert_same(tables: dict[str, pl.DataFrame], others: dict[str, pl.DataFrame]) -> None:
    assert tables.keys() == others.keys()
    for table, frame in tables.items():
        assert frame.equals(others[table]), table


def is_settled(run: dict[str, Any]) -> bool:
    """A completed run without usage is asked for again, as its usage may come late."""
    return run["status"] in TERMINAL and not (run["status"] == "completed" and run.get("usage") is None)


def open_threads(data_dir: Path) -> set[str]:
    return {thread for (thread,) in read_all(data_dir, "select distinct thread_id from runs where not sealed")}


def test_the_warehouse_has_exactly_what_the_server_has_before_and_after_it_went_on(tmp_path: Path) -> None:
    with running_emulator() as server:
        first = sync_here(server, tmp_path)
        assert asdict(measured(tmp_path, 0)) == asdict(server.truth())

        server.advance()
        second = sync_here(server, tmp_path)

        assert asdict(measured(tmp_path, 1)) == asdict(server.truth())
        assert (first.verdict, second.verdict) == ("complete", "complete")
    assert read_all(tmp_path, "select * from rejects") == []
    assert read_all(tmp_path, "select distinct verdict from walks") == [("complete",)]


def test_a_second_sync_makes_one_request_for_each_unchanged_thread(server: RunningEmulator, synced: Path) -> None:
    sync_here(server, synced)

    requests = Counter(entry["thread_id"] for entry in server.requests())
    still_open = open_threads(synced)
    unchanged = set(server.corpus.thread_ids()) - still_open
    assert len(unchanged) > len(still_open) > 0
    assert {thread: requests[thread] for thread in unchanged} == dict.fromkeys(unchanged, 1)
    assert {thread for thread in still_open if requests[thread] < 2} == set()
    assert set(requests) == set(server.corpus.thread_ids())


def test_a_second_sync_changes_no_row_where_nothing_is_open_but_where_the_newest_run_was_seen(
    corpus: Corpus, tmp_path: Path
) -> None:
    settled = [
        thread.item.object_id
        for thread in corpus.threads_at(1)
        if all(is_settled(json.loads(run.item.body)) for run in thread.runs)
    ]
    with running_emulator(corpus, phase=1) as server:
        sync_here(server, tmp_path, thread_ids=settled)
        before = read_tables(tmp_path, without=SEEN)

        sync_here(server, tmp_path, thread_ids=settled)

        after = read_tables(tmp_path, without=SEEN)
    for table in BOOKKEEPING:
        assert before[table].join(after[table], on=before[table].columns, how="anti", nulls_equal=True).is_empty()
        assert after[table].height > before[table].height
        before.pop(table)
        after.pop(table)
    # The newest run of a thread is looked at again: that proves that the cursor behind it is known.
    seen_again = after["runs"].join(before["runs"], on=before["runs"].columns, how="anti", nulls_equal=True)
    newest = before["runs"].sort("thread_id", "created_at", "run_id").unique("thread_id", keep="last")
    assert set(seen_again["run_id"]) <= set(newest["run_id"])
    before["runs"], after["runs"] = (tables["runs"].drop(PLACE) for tables in (before, after))
    assert_same(after, before)


def test_a_second_sync_of_open_runs_changes_only_where_they_were_seen(server: RunningEmulator, synced: Path) -> None:
    without = {**SEEN, "runs": PLACE, "run_steps": PLACE}
    before = read_tables(synced, without=without)

    sync_here(server, synced)

    after = read_tables(synced, without=without)
    for table in BOOKKEEPING:
        before.pop(table)
        after.pop(table)
    assert_same(after, before)


def test_open_runs_are_fetched_again_until_they_are_sealed(server: RunningEmulator, synced: Path) -> None:
    waiting = {run for (run,) in read_all(synced, "select run_id from runs where not sealed")}
    server.advance()

    sync_here(server, synced)

    new = {run.item.object_id for runs in server.corpus.new_runs.values() for run in runs}
    assert {entry["run_id"] for entry in server.requests() if entry["route"] == "list_steps"} == waiting | new
    statuses = counts(
        synced, "select status, count(*) from runs where not sealed and total_tokens is not null group by all"
    )
    assert set(statuses) & TERMINAL == set()


def test_full_fetches_everything_again_and_changes_no_total(server: RunningEmulator, tmp_path: Path) -> None:
    sync_here(server, tmp_path)
    first = Counter((entry["path"], entry["after"]) for entry in server.requests())
    server.clear_requests()

    sync_here(server, tmp_path, full=True)

    assert Counter((entry["path"], entry["after"]) for entry in server.requests()) == first
    assert asdict(measured(tmp_path, 0)) == asdict(server.truth())


def test_a_rebuild_from_raw_gives_the_same_tables_row_for_row(two_syncs: Path, tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(two_syncs, tmp_path / "data"))
    before = read_tables(data_dir)

    rebuild(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)

    assert_same(read_tables(data_dir), before)


def test_a_rebuild_does_not_need_the_old_warehouse(two_syncs: Path, tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(two_syncs, tmp_path / "data"))
    before = read_tables(data_dir)
    warehouse_path(data_dir).unlink()

    rebuild(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)

    assert_same(read_tables(data_dir), before)


def test_every_row_can_be_traced_to_the_page_that_it_came_from(synced: Path) -> None:
    store = raw_store(synced)
    bodies = {
        (walk.walk_id, page.page_index): {item["id"] for item in json.loads(page.body)["data"]}
        for part in store.list_parts()
        for walk in store.read_part(part).walks
        for page in walk.pages
    }
    for table, key in (("runs", "run_id"), ("run_steps", "step_id")):
        rows = read_all(synced, f"select walk_id, page_index, {key} from {table}")
        assert [row for row in rows if row[2] not in bodies[row[0], row[1]]] == []
    untraced = read_all(synced, "select part from walks anti join loaded_parts using (part)")
    assert untraced == []


def test_a_thread_that_fails_does_not_stop_the_others_and_heals_with_the_next_sync(
    server: RunningEmulator, tmp_path: Path
) -> None:
    [broken] = read_thread_with_long_run(server)
    server.set_faults([{"route": "list_steps", "match": {"thread_id": broken}, "fault": "cursor_ignored"}])

    first = sync_here(server, tmp_path)
    failed = read_all(tmp_path, "select thread_id from threads where status = 'failed'")
    server.clear_faults()
    second = sync_here(server, tmp_path)

    assert (first.verdict, failed, second.verdict) == ("incomplete", [(broken,)], "complete")
    assert asdict(measured(tmp_path, 0)) == asdict(server.truth())


def read_thread_with_long_run(server: RunningEmulator) -> list[str]:
    """A thread that has a run of more than one page of steps."""
    long = (thread for thread in server.corpus.threads if any(len(run.steps) > 100 for run in thread.runs))
    return [next(long).item.object_id]


def test_threads_that_do_not_exist_are_reported_and_the_others_go_on(server: RunningEmulator, tmp_path: Path) -> None:
    [gone] = server.corpus.thread_ids()[:1]
    missing = {"fault": "status", "status": 404, "match": {"thread_id": gone}}
    server.set_faults([missing])

    result = sync_here(server, tmp_path)

    assert result.verdict == "complete"
    assert counts(tmp_path, "select status, count(*) from threads group by all") == {
        "missing": 1,
        "synced": len(server.corpus.threads) - 1,
    }


def test_a_walk_that_ended_and_is_not_in_the_warehouse_makes_the_sync_incomplete(
    server: RunningEmulator, tmp_path: Path
) -> None:
    # One more than there will be: as if the part that held it had been taken away.
    progress = Progress(walks=1)

    with pytest.raises(IncompleteError, match=r"raw parts of .* are gone"):
        sync_here(server, tmp_path, thread_ids=server.corpus.thread_ids()[:1], progress=progress)


def test_same_second_ties_keep_the_order_of_the_server(corpus: Corpus, synced: Path) -> None:
    expected = {
        run.item.object_id: [step.object_id for step in run.steps]
        for thread in corpus.threads
        for run in thread.runs
        if run.steps
    }
    ordered = "list(step_id order by step_index), list(step_index order by step_index)"
    sql = f"select run_id, {ordered} from run_steps group by run_id"
    rows = read_all(synced, sql)
    assert {run: steps for run, steps, _ in rows} == expected
    assert [run for run, steps, indexes in rows if indexes != list(range(len(steps)))] == []
    ties = "select count(*) from (select 1 from run_steps group by run_id, created_at having count(*) > 1) as ties"
    [(tied,)] = read_all(synced, ties)
    assert tied > 0
