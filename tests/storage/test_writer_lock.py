"""A notebook that reads never stops a sync; a process that writes is waited for, then named."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.errors import WarehouseLockedError
from pipeline.raw.places import raw_store
from pipeline.storage.writer_lock import only_writer
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from tests.landed import Listing, land, run_of
from tests.syncs import (
    environ_for,
    hold_back,
    raw_files,
    read_all,
    read_tables,
    run_cli,
    started_cli,
    sync_here,
    wait_until,
)

# Opens the file as soon as it is free, says so, and answers each line of its input with the number of runs it sees.
_HOLDER = """
import sys, time, duckdb
path, mode = sys.argv[1:]
while True:
    try:
        connection = duckdb.connect(path, read_only=mode == "read")
        break
    except duckdb.IOException as error:
        if "lock" not in str(error):
            raise
        time.sleep(0.01)
print("open", flush=True)
for line in sys.stdin:
    print(connection.sql("select count(*) from runs").fetchall()[0][0], flush=True)
"""


class Holder:
    """Another process with the warehouse open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def count_runs(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._read_line())

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def wait_until_open(self) -> None:
        assert self._read_line() == "open"


@contextmanager
def held(data_dir: Path, mode: str) -> Iterator[Holder]:
    """The warehouse held open for "read" or "write" by a process of its own while the block runs."""
    command = [sys.executable, "-c", _HOLDER, str(warehouse_path(data_dir)), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        holder = Holder(process)
        holder.wait_until_open()
        yield holder
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=30)


def count_runs(data_dir: Path) -> int:
    [(count,)] = read_all(data_dir, "select count(*) from runs")
    return int(count)


def test_a_reader_does_not_fail_the_sync_and_keeps_what_it_has_open(server: RunningEmulator, tmp_path: Path) -> None:
    sync_here(server, tmp_path)
    before = server.truth().runs
    server.advance()
    after = server.truth().runs
    assert after > before

    with held(tmp_path, "read") as reader:
        ended = run_cli(tmp_path, "sync", *server.corpus.thread_ids(), "--data-dir", ".", environ=environ_for(server))

        assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
        assert count_runs(tmp_path) == after
        assert reader.count_runs() == before


def test_readers_of_two_generations_do_not_fail_a_load(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land(store, Listing(1, [run_of("run_1")]), sync_id="sync_1")
    load_new_parts(store, path, wait_s=0)

    with held(tmp_path, "read") as older:
        land(store, Listing(2, [run_of("run_2")]), sync_id="sync_2")
        load_new_parts(store, path, wait_s=0)
        with held(tmp_path, "read") as newer:
            land(store, Listing(3, [run_of("run_3")]), sync_id="sync_3")
            load_new_parts(store, path, wait_s=0)

            assert (older.count_runs(), newer.count_runs(), count_runs(tmp_path)) == (1, 2, 3)


def test_a_rebuild_beside_a_reader_takes_the_place_of_the_old_file(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land(store, Listing(1, [run_of("run_1")]), sync_id="sync_1")
    load_new_parts(store, path, wait_s=0)
    land(store, Listing(2, [run_of("run_2")]), sync_id="sync_2")

    with held(tmp_path, "read") as reader:
        rebuild(store, path, wait_s=0)

        assert (reader.count_runs(), count_runs(tmp_path)) == (1, 2)


def test_a_rebuild_does_not_take_the_file_away_from_a_writer(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land(store, Listing(1, [run_of("run_1")]))
    load_new_parts(store, path, wait_s=0)

    with held(tmp_path, "write") as writer:
        with pytest.raises(WarehouseLockedError, match=f"is held by process {writer.pid} "):
            rebuild(store, path, wait_s=0)

        assert writer.count_runs() == 1


def test_a_writer_that_comes_during_a_sync_is_named_and_what_landed_is_kept(
    server: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(server, tmp_path)
    server.advance()
    after = server.truth()
    earlier = len(raw_files(tmp_path))
    hold_back(server, after_requests=0)
    arguments = ["sync", *server.corpus.thread_ids(), "--data-dir", ".", "--lock-wait", "0.3", "--attempts", "1000"]

    with started_cli(tmp_path, *arguments, environ=environ_for(server)) as process:
        # The plan has been read and its part been loaded: from here on nobody else needs the file until the end.
        wait_until(
            lambda: any(entry["route"] == "list_steps" for entry in server.requests()), what="a walk", of=process
        )
        wait_until(lambda: len(raw_files(tmp_path)) > earlier, what="the part with the plan", of=process)
        with held(tmp_path, "write") as writer:
            server.clear_faults()
            _, stderr = process.communicate()

    assert process.returncode == 6
    assert f"is held by process {writer.pid} (" in stderr
    assert "Traceback" not in stderr
    assert len(raw_files(tmp_path)) > earlier + 1

    loaded = run_cli(tmp_path, "load", "--data-dir", ".")
    assert loaded.returncode == 0, loaded.stderr
    assert count_runs(tmp_path) == after.runs
    requests = len(server.requests())
    assert read_all(tmp_path, "select count(*) from run_steps") == [(after.steps,)]
    assert len(server.requests()) == requests


@pytest.mark.parametrize("arguments", [["load"], ["load", "--rebuild"], ["sync", "thread_1"]])
def test_a_writer_that_was_there_before_is_named_with_exit_code_6(
    server: RunningEmulator, tmp_path: Path, arguments: list[str]
) -> None:
    store = raw_store(tmp_path)
    land(store, Listing(1, [run_of("run_1")]), sync_id="sync_1")
    load_new_parts(store, warehouse_path(tmp_path), wait_s=0)
    land(store, Listing(2, [run_of("run_2")]), sync_id="sync_2")

    with held(tmp_path, "write") as writer:
        ended = run_cli(tmp_path, *arguments, "--data-dir", ".", "--lock-wait", "0", environ=environ_for(server))

        assert ended.returncode == 6
        assert f"is held by process {writer.pid} (" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert len(raw_files(tmp_path)) == 2
    assert run_cli(tmp_path, "load", "--data-dir", ".").returncode == 0
    assert count_runs(tmp_path) == 2


def test_a_load_beside_another_load_is_refused(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land(store, Listing(1, [run_of("run_1")]))

    with only_writer(path, wait_s=0), pytest.raises(WarehouseLockedError, match="another load writes"):
        load_new_parts(store, path, wait_s=0)

    assert load_new_parts(store, path, wait_s=0) == 1


def test_a_query_names_the_process_that_writes(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    land(store, Listing(1, [run_of("run_1")]))
    load_new_parts(store, warehouse_path(tmp_path), wait_s=0)

    with held(tmp_path, "write") as writer:
        ended = run_cli(tmp_path, "query", "select 1 as one", "--data-dir", ".")

    assert (ended.returncode, ended.stdout) == (6, "")
    assert f"is held by process {writer.pid} (" in ended.stderr


def test_a_rebuild_helps_where_the_warehouse_cannot_be_read_and_keeps_it_beside(tmp_path: Path) -> None:
    with running_emulator(threads=3) as server:
        sync_here(server, tmp_path)
    whole = read_tables(tmp_path, named=["run_steps"])
    warehouse_path(tmp_path).write_bytes(b"not a database")
    refused = run_cli(tmp_path, "query", "coverage", "--data-dir", ".")

    ended = run_cli(tmp_path, "load", "--rebuild", "--data-dir", ".")

    assert (refused.returncode, ended.returncode) == (2, 0)
    assert "load --rebuild" in refused.stderr
    assert_frame_equal(read_tables(tmp_path, named=["run_steps"])["run_steps"], whole["run_steps"])
    assert tmp_path.joinpath("warehouse.duckdb.damaged").read_bytes() == b"not a database"
