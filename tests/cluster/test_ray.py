"""A Ray cluster comes to the same tables as one process, also when its workers are killed."""

import asyncio
import contextlib
import gzip
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
import polars as pl
import pytest

from pipeline.archives.progress import ImportProgress
from pipeline.cluster.ray_fleet import RayFleet
from pipeline.cluster.ray_import import RayImport
from pipeline.cluster.ray_session import Cluster, open_cluster
from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.raw.places import raw_store
from pipeline.settings.connect import make_client
from pipeline.settings.invocation import Settings
from pipeline.settings.lookup import read_settings
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from pipeline.warehouse.database import open_for_writing, warehouse_path
from pipeline.warehouse.load import load_new_parts
from tests.archived import NOW, function_step, import_here, lines_of, run_object, step_object
from tests.contents import assert_same_contents
from tests.lake.test_batches import land_long_sync
from tests.lakes import assert_same, read_lake, read_warehouse
from tests.landed import Listing, land, run_of
from tests.measuring import measured
from tests.publish_parts import publish
from tests.syncs import (
    ROOT,
    SOURCE,
    environ_for,
    hold_back,
    raw_files,
    read_all,
    run_cli,
    started_cli,
    sync_here,
    wait_until,
)

WORKERS = 2
ELSEWHERE = "127.0.0.1:1"
# What a process needs to reach the cluster of this module, which is on loopback only.
NEEDED = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One cluster for all tests, which has this program installed: to start it takes longer than they do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        # Of another cluster, where nobody is.
        patch.setenv("RAY_ADDRESS", ELSEWHERE)
        cluster = open_cluster(None, workers=WORKERS)
    yield cluster
    cluster.close()


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(threads=24) as server:
        yield server


def settings_for(server: RunningEmulator, folder: Path, **flags: object) -> Settings:
    environ = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": server.api_key}
    return read_settings({"concurrency": 8, "data_dir": str(folder / "ray"), **flags}, environ, folder)


def sync_on(cluster: Cluster, settings: Settings, ids: Sequence[str], progress: Progress | None = None) -> SyncResult:
    """A sync whose shares are tasks of the cluster."""
    folder = settings.data_dir
    extract = ExtractOptions(concurrency=8)
    options = SyncOptions(source=SOURCE, data_dir=folder, thread_ids=ids, extract=extract)
    fleet = RayFleet(settings, options.raw_folder, extract, full=False, cluster=cluster)
    client = make_client(settings)

    async def run() -> SyncResult:
        async with client:
            return await run_sync(client, options, progress=progress or Progress(), choose_fleet=lambda _: fleet)

    return asyncio.run(run())


def test_shares_on_a_cluster_come_to_the_tables_of_one_process(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(emulator, tmp_path / "one")
    progress = Progress()

    result = sync_on(cluster, settings_for(emulator, tmp_path), emulator.corpus.thread_ids(), progress)

    assert (result.verdict, progress.threads_done) == ("complete", 24)
    assert_same_contents(tmp_path / "ray", tmp_path / "one")
    assert not list(tmp_path.glob("ray/flat/*/*"))


def children() -> set[int]:
    """This process and all that it has started, directly or not."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(") ")[2].split()[1])
    found, more = set[int](), {os.getpid()}
    while more:
        found |= more
        more = {pid for pid, parent in parents.items() if parent in more}
    return found


def working_on(what: str) -> list[int]:
    """Processes of the cluster that are in the middle of a task, or are an actor, of this name."""
    found = []
    for pid in children():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"ray::{what}".encode()):
                found.append(pid)
    return found


def test_a_cluster_of_this_machine_listens_on_loopback_only_whatever_the_environment_names(cluster: Cluster) -> None:
    sockets = set[str]()
    for pid in children():
        with contextlib.suppress(OSError):
            sockets |= {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]

    listening = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]

    assert cluster.ray.get_runtime_context().gcs_address != ELSEWHERE
    assert len(listening) > 2
    assert set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def test_a_worker_killed_without_warning_loses_nothing_and_duplicates_nothing(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(emulator, tmp_path / "one")
    emulator.clear_requests()
    hold_back(emulator, after_requests=30)
    killed: list[int] = []

    def kill_one() -> None:
        wait_until(lambda: len(emulator.requests()) > 40 and bool(working_on("walk_share")), what="a share under way")
        killed.extend(working_on("walk_share")[:1])
        os.kill(killed[0], signal.SIGKILL)
        emulator.clear_faults()

    killer = threading.Thread(target=kill_one)
    killer.start()
    progress = Progress()
    settings = settings_for(emulator, tmp_path, attempts=1000)
    result = sync_on(cluster, settings, emulator.corpus.thread_ids(), progress)
    killer.join()

    assert (result.verdict, len(killed)) == ("complete", 1)
    assert progress.walks == read_all(tmp_path / "ray", "select count(*) from walks")[0][0]
    assert asdict(measured(tmp_path / "ray", 0)) == asdict(emulator.truth())
    assert_same_contents(tmp_path / "ray", tmp_path / "one")


def test_the_command_line_on_a_cluster_that_runs_already(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(emulator, tmp_path / "one")
    command, environ = command_on(cluster, emulator)

    ended = run_cli(tmp_path, *command, "--quiet", environ=environ)

    assert (ended.returncode, ended.stdout) == (0, "")
    assert_same_contents(tmp_path / "ray", tmp_path / "one")


def test_ctrl_c_lands_what_the_workers_have_and_the_next_sync_goes_on(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(emulator, tmp_path / "one")
    emulator.clear_requests()
    hold_back(emulator, after_requests=30)
    command, environ = command_on(cluster, emulator)
    with started_cli(tmp_path, *command, "--attempts", "1000", environ=environ) as process:
        wait_until(lambda: len(emulator.requests()) > 40, what="40 requests", of=process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    emulator.clear_faults()
    landed = raw_files(tmp_path / "ray")

    result = sync_here(emulator, tmp_path / "ray")

    assert (process.returncode, result.verdict) == (130, "complete"), said
    assert "run the same command again" in said
    assert "Traceback" not in said
    # The opening, the closing, and what the workers had.
    assert len(landed) > 2
    assert_same_contents(tmp_path / "ray", tmp_path / "one", but=["walks"])


def command_on(cluster: Cluster, server: RunningEmulator) -> tuple[list[str], dict[str, str]]:
    """A sync of all threads into the folder `ray` on this cluster, as a command and its environment."""
    address = cluster.ray.get_runtime_context().gcs_address
    place = ("--ray-address", address, "--workers", str(WORKERS), "--data-dir", "ray")
    return ["sync", "--all-threads", "--executor", "ray", *place], environ_for(
        server, **{name: os.environ[name] for name in NEEDED}
    )


def test_the_actor_of_the_pace_killed_without_warning_ends_the_sync_with_all_that_was_landed(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    hold_back(emulator, after_requests=30)

    def kill_it() -> None:
        wait_until(lambda: len(emulator.requests()) > 40, what="shares under way")
        for pid in working_on("Coordinator"):
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_it)
    killer.start()
    result = sync_on(cluster, settings_for(emulator, tmp_path, attempts=1000), emulator.corpus.thread_ids())
    killer.join()

    assert "the process on the cluster that keeps the common pace" in str(result.error)
    assert len(raw_files(tmp_path / "ray")) > 2


def test_the_limit_of_a_key_holds_for_all_workers_together(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path, requests_per_minute=1_800.0)

    sync_on(cluster, settings, emulator.corpus.thread_ids()[:8])

    times = sorted(entry["at_s"] for entry in emulator.requests() if entry["route"] != "list_threads")
    # 30 a second, but for what is under way (a busy machine may serve it all at once) and for what one batch is late.
    at_once = 8 * WORKERS + 15
    assert len(times) > 4 * at_once
    assert (len(times) - at_once) / 30 <= times[-1] - times[0]


def test_a_cluster_that_does_not_see_the_folder_is_told_apart_from_one_that_does(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path)
    extract = ExtractOptions(concurrency=8)
    options = SyncOptions(source=SOURCE, data_dir=tmp_path / "ray", thread_ids=emulator.corpus.thread_ids())
    elsewhere = RayFleet(settings, tmp_path / "elsewhere", extract, full=False, cluster=cluster)
    client = make_client(settings)

    async def run() -> SyncResult:
        async with client:
            return await run_sync(client, options, progress=Progress(), choose_fleet=lambda _: elsewhere)

    result = asyncio.run(run())

    assert result.verdict == "refused"
    assert "--data-dir must be a folder that all machines of the cluster share" in str(result.error)


def test_an_import_on_a_cluster_comes_to_the_tables_of_one_process(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(emulator, tmp_path / "source")
    files = write_archives(tmp_path)
    import_here(tmp_path / "one", *files)
    progress = ImportProgress()

    work = RayImport(cluster, tmp_path / "ray", "archive", None, range_bytes=files[0].stat().st_size // 3)
    work.run(files, progress=progress, now=lambda: NOW, lock_wait_s=1.0)

    assert (progress.files_done, progress.unrecognised) == (len(files), 0)
    # What differs is what tells one import from another: walk_id, sync_id, part and times, which are left out.
    # The files are cut: a list that is on both sides of a cut has a walk for each of them.
    assert_same_contents(tmp_path / "ray", tmp_path / "one", but=["walks"])


def test_a_worker_killed_in_the_middle_of_an_import_loses_nothing_and_duplicates_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    runs = [
        (run_object(f"run_{number}"), function_step(f"step_{number}", "x" * 5 * 2**20, run_id=f"run_{number}"))
        for number in range(3)
    ]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines_of([item for pair in runs for item in pair]), 1))
    (tmp_path / "kept.jsonl").write_bytes(lines_of([run_object("run_9"), step_object("step_9", run_id="run_9")]))
    # Who reads it waits for what is written into it: once to be hashed, then for good.
    pipe = tmp_path / "b.jsonl"
    os.mkfifo(pipe)
    killed: list[int] = []

    def kill_one() -> None:
        pipe.write_bytes((tmp_path / "kept.jsonl").read_bytes())
        wait_until(lambda: len(raw_files(tmp_path / "ray")) > 1, what="a part of a file that is not read to its end")
        killed.extend(working_on("read_files"))
        (tmp_path / "kept.jsonl").rename(pipe)
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    files = [tmp_path / "a.jsonl.gz", pipe]
    progress = ImportProgress()
    RayImport(cluster, tmp_path / "ray", "archive", None).run(
        files, progress=progress, now=lambda: NOW, lock_wait_s=1.0
    )
    killer.join()

    assert len(killed) == 1
    assert (progress.runs, progress.steps, progress.unrecognised) == (4, 4, 0)
    import_here(tmp_path / "one", *files)
    # A walk that a dead worker has landed is there beside that of its successor.
    assert_same_contents(tmp_path / "ray", tmp_path / "one", but=["walks"])


def test_a_worker_killed_while_it_works_out_what_to_publish_loses_nothing_and_duplicates_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    store, warehouse = raw_store(tmp_path / "data"), warehouse_path(tmp_path / "data")
    land_long_sync(store)
    load_new_parts(store, warehouse, wait_s=0)
    killed: list[int] = []

    def kill_one() -> None:
        # Workers wait some seconds for the warehouse, whose costs they are to keep, while somebody writes to it.
        with open_for_writing(warehouse, wait_s=5, in_background=True):
            wait_until(lambda: bool(working_on("change_batch_there")), what="a worker with a batch")
            killed.extend(working_on("change_batch_there"))
            os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    done = publish(tmp_path / "data", tmp_path / "lake", batch_bytes=1, cluster=cluster)
    killer.join()

    assert killed
    assert done.batches > WORKERS
    assert_same(read_lake(tmp_path / "lake"), read_warehouse(warehouse))


def test_publish_on_a_cluster_that_runs_already_makes_the_lake_of_one_process(
    cluster: Cluster, emulator: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(emulator, tmp_path / "data")
    address = cluster.ray.get_runtime_context().gcs_address
    command = ["publish", "delta", "lake", "--executor", "ray", "--ray-address", address, "--workers", "2"]
    environ = environ_for() | {name: os.environ[name] for name in NEEDED}

    published = run_cli(tmp_path, *command, "--data-dir", "data", environ=environ)

    assert published.returncode == 0, published.stderr
    assert_same(read_lake(tmp_path / "lake"), read_warehouse(warehouse_path(tmp_path / "data")))


def test_tasks_of_which_nobody_wants_the_results_are_given_up(cluster: Cluster, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "file").write_text("read")
    results = cluster.run(Path.read_text, [tmp_path / "file", pipe])

    assert next(results) == "read"
    results.close()

    wait_until(lambda: not working_on("read_text"), what="the end of who waits for the pipe")


def write_archives(folder: Path) -> list[Path]:
    """What the sync of a folder received, as files of one object a line, each run and its steps in one of them."""
    pages = pl.concat(pl.read_parquet(path) for path in folder.glob("source/raw/*/*.parquet")).filter(kind="page")
    lines: dict[int, list[bytes]] = {}
    for number, body in enumerate(pages.sort("thread_id", "run_id")["body"]):
        for item in msgspec.json.decode(body)["data"]:
            lines.setdefault(number % 4, []).append(msgspec.json.encode(item))
    files = []
    for number, items in lines.items():
        files.append(folder / f"archive-{number}.jsonl")
        files[-1].write_bytes(b"\n".join(items) + b"\n")
    return files


HIDE_RAY = (
    "import sys; sys.modules['ray'] = None; sys.argv = ['pipeline', *sys.argv[1:]];"
    " import pipeline.cli.main as c; c.main()"
)


@pytest.mark.parametrize(
    "verb",
    [("sync", "thread_1"), ("import", "archive.jsonl"), ("publish", "delta", "lake")],
    ids=["sync", "import", "publish"],
)
def test_without_the_extra_the_message_names_it(tmp_path: Path, verb: tuple[str, ...]) -> None:
    (tmp_path / "archive.jsonl").write_text("{}\n")
    land(raw_store(tmp_path / "data"), Listing(1, [run_of("run_1")]))
    environ = environ_for(OPENAI_API_KEY="marker-key", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    ended = subprocess.run(
        [sys.executable, "-c", HIDE_RAY, *verb, "--executor", "ray"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "install" in ended.stderr
    assert "[ray]" in ended.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("sync", "thread_1", "--ray-address", "127.0.0.1:1"), "--ray-address 127.0.0.1:1 is for --executor ray"),
        (("import", "archive.jsonl", "--workers", "2"), "--workers 2 is for --executor ray"),
        (("publish", "delta", "lake", "--workers", "2"), "--workers 2 is for --executor ray"),
    ],
)
def test_options_of_the_executor_without_it_are_refused(tmp_path: Path, command: tuple[str, ...], message: str) -> None:
    ended = run_cli(tmp_path, *command)

    assert ended.returncode == 2
    assert message in ended.stderr
