"""Fetching in several processes comes to the same as in one, and ends as cleanly."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.cluster.crew import LEAST_THREADS, Crew, count_workers, start_early
from pipeline.cluster.executors import Fleets
from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.extract.fetching import ExtractOptions, Outcome
from pipeline.extract.plan import fresh_states
from pipeline.extract.share import joint_outcome
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.writer import PartWriter
from pipeline.settings.lookup import read_settings
from pipeline.verbs.sync import sample
from tests.syncs import environ_for, hold_back, raw_files, read_all, run_cli, started_cli, wait_until

# They name the sync and the walk that a row came from, which differ from one sync to the next.
LINEAGE = ("walk_id", "page_index", "observed_at", "sealed_at", "sync_id")
TABLES = ("runs", "run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results", "cost_ledger")


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(threads=40) as server:
        yield server


def rows_of(folder: Path, table: str) -> list[tuple[object, ...]]:
    columns = ", ".join(
        name
        for (name,) in read_all(folder, f"select column_name from duckdb_columns() where table_name = '{table}'")
        if name not in LINEAGE
    )
    return sorted(map(repr, read_all(folder, f"select {columns} from {table}")))  # type: ignore[arg-type]


def test_three_processes_bring_the_same_rows_as_one(emulator: RunningEmulator, tmp_path: Path) -> None:
    environ = environ_for(emulator)
    run_cli(tmp_path, "sync", "--all-threads", "--quiet", "--data-dir", "one", environ=environ)
    emulator.clear_requests()

    ended = run_cli(
        tmp_path, "sync", "--all-threads", "--json", "--workers", "3", "--data-dir", "three", environ=environ
    )

    assert ended.returncode == 0
    summary = json.loads(ended.stdout)
    # Those for the list of threads are among them.
    assert (summary["steps"], summary["requests"]) == (emulator.truth().steps, len(emulator.requests()))
    for table in TABLES:
        assert rows_of(tmp_path / "three", table) == rows_of(tmp_path / "one", table), table


def test_a_second_sync_in_processes_asks_once_for_each_unchanged_thread(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    emulator.advance()
    command = ("sync", "--all-threads", "--quiet", "--workers", "2")
    run_cli(tmp_path, *command, environ=environ_for(emulator))
    open_threads = {thread for (thread,) in read_all(tmp_path / "data", "select thread_id from runs where not sealed")}
    emulator.clear_requests()

    run_cli(tmp_path, *command, environ=environ_for(emulator))

    asked = [entry["thread_id"] for entry in emulator.requests() if entry["route"] == "list_runs"]
    assert sorted(set(asked) - open_threads) == sorted(thread for thread in asked if thread not in open_threads)
    assert len(set(asked)) == emulator.truth().threads


def test_a_refused_key_stops_all_processes(emulator: RunningEmulator, tmp_path: Path) -> None:
    environ = environ_for(emulator) | {"OPENAI_API_KEY": "wrong-key"}

    ended = run_cli(tmp_path, "sync", *emulator.corpus.thread_ids(), "--workers", "2", environ=environ)

    assert ended.returncode == 3
    assert "check the key" in ended.stderr
    assert len(emulator.requests()) <= 2 * 8


def test_ctrl_c_lands_what_the_processes_have_and_the_next_sync_goes_on(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    hold_back(emulator, after_requests=60)
    command = ("sync", *emulator.corpus.thread_ids(), "--workers", "2")
    with started_cli(tmp_path, *command, environ=environ_for(emulator)) as process:
        wait_until(lambda: len(emulator.requests()) > 62, what="60 requests and the next ones held back")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    landed = raw_files(tmp_path / "data")
    emulator.clear_faults()

    ended = run_cli(tmp_path, *command, "--json", environ=environ_for(emulator))

    assert process.returncode == 130
    assert "run the same command again" in said
    assert len(landed) > 1
    assert ended.returncode == 0
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(emulator.truth().steps,)]


def test_the_processes_end_when_their_parent_is_killed(emulator: RunningEmulator, tmp_path: Path) -> None:
    hold_back(emulator, after_requests=60)
    command = ("sync", *emulator.corpus.thread_ids(), "--workers", "2")
    with started_cli(tmp_path, *command, environ=environ_for(emulator)) as process:
        wait_until(lambda: len(emulator.requests()) > 62, what="60 requests and the next ones held back")
        process.kill()
        # Its standard error is theirs as well: the end of it is the end of them all.
        process.communicate()
    emulator.clear_faults()

    ended = run_cli(tmp_path, *command, "--quiet", environ=environ_for(emulator))

    assert ended.returncode == 0
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(emulator.truth().steps,)]


def test_a_worker_that_ends_without_a_word_is_an_error() -> None:
    assert "a worker process died" in str(joint_outcome([Outcome(), None]).error)


def land_plan(writer: PartWriter) -> PartName | None:
    writer.add_plan([], datetime(2026, 1, 1, tzinfo=UTC))
    return writer.land(writer.take_rows())


def test_two_writers_of_one_sync_never_give_the_same_name(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    writers = [PartWriter(store, source="main", sync_id="20260101T000000000Z-abc123", writer=n) for n in (0, 1, 12)]

    parts = [land_plan(writer) for writer in writers for _ in range(2)]

    assert len(set(parts)) == 6
    assert sorted(store.list_parts(), key=str) == sorted((part for part in parts if part), key=str)
    assert {part.sync_id for part in parts if part} == {"20260101T000000000Z-abc123"}


def test_a_part_is_never_put_in_the_place_of_another(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    first = land_plan(PartWriter(store, source="main", sync_id="sync-1"))

    with pytest.raises(Exception, match="File exists"):
        land_plan(PartWriter(store, source="main", sync_id="sync-1"))

    assert store.list_parts() == [first] == [PartName("main", "sync-1-0-000001")]


def test_small_syncs_stay_in_one_process_unless_told_otherwise() -> None:
    assert count_workers(0, threads=9_999, new_threads=LEAST_THREADS - 1) == 0
    assert count_workers(0, threads=9_999, new_threads=LEAST_THREADS) >= 1
    assert count_workers(3, threads=2, new_threads=0) == 2


def test_a_long_list_of_the_sample_stays_in_one_process_for_its_server_is_on_this_machine(tmp_path: Path) -> None:
    settings = read_settings({}, environ=environ_for(), folder=tmp_path)
    of_sample = settings.for_sample("http://127.0.0.1:9/v1", source="sample")
    states = fresh_states([f"thread_{number}" for number in range(LEAST_THREADS)])

    chosen = [Fleets(of, tmp_path, ExtractOptions(), False).choose(states) for of in (of_sample, settings)]

    assert [fleet is None for fleet in chosen] == [True, False]


def test_the_server_of_the_sample_is_started_early_for_its_first_sync_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    first, second = sample.start_early(tmp_path / "data"), sample.start_early(tmp_path)

    assert first is not None
    with sample.sample_server(first, phase=1) as ready:
        assert ready["pid"] == first.pid
    assert (first.wait(20), second) == (0, None)


def test_a_first_sync_of_a_long_list_has_its_processes_started_early(tmp_path: Path) -> None:
    names = tmp_path / "threads.txt"
    names.write_text("".join(f"thread_{number:020d}\n" for number in range(LEAST_THREADS)))

    crew = start_early(1, data_dir=tmp_path / "data", files=[str(names)])

    assert crew is not None
    (process, link), *others = crew.take(1)
    link.close()
    process.join(20)
    assert (process.exitcode, others) == (0, [])


def test_processes_that_nobody_needs_end_by_themselves(tmp_path: Path) -> None:
    crew = Crew()
    crew.start(2)
    (process, link), (other, _) = members = crew.take(2)
    crew.dismiss(members)

    for member in (process, other):
        member.join(20)

    assert (process.exitcode, other.exitcode, link.closed) == (0, 0, True)


def test_no_process_is_started_early_for_a_short_list_or_into_a_folder_that_has_something(tmp_path: Path) -> None:
    short, long = tmp_path / "short.txt", tmp_path / "long.txt"
    short.write_text("thread_1\n")
    long.write_text("thread_00000000001\n" * LEAST_THREADS)
    (tmp_path / "data").mkdir()

    assert start_early(0, data_dir=tmp_path / "data", files=[str(short)]) is None
    assert start_early(0, data_dir=tmp_path / "data", files=["-"]) is None
    assert start_early(0, data_dir=tmp_path / "data", files=[str(tmp_path / "missing.txt")]) is None
    (tmp_path / "data" / "warehouse.duckdb").touch()
    assert start_early(0, data_dir=tmp_path / "data", files=[str(long)]) is None


def test_a_sync_that_comes_to_nothing_leaves_no_process_that_was_started_early(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    names = tmp_path / "threads.txt"
    names.write_text("".join(f"thread_{number:020d}\n" for number in range(LEAST_THREADS)) + "a\0b\n")

    # Its standard error is theirs as well: that it ends shows that they all have.
    ended = run_cli(tmp_path, "sync", "--threads", str(names), environ=environ_for(emulator))

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
