"""What tasks and who started them make of each other, on a cluster of threads."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.archives.progress import ImportProgress
from pipeline.cluster.ray_fleet import RayFleet
from pipeline.cluster.ray_import import RayImport
from pipeline.cluster.ray_reading import FilesJob, FilesRead
from pipeline.cluster.ray_session import count_tasks
from pipeline.cluster.ray_tasks import check_version
from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.errors import ConfigurationError, IncompleteError, PipelineError
from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.http.shared_pace import Ask
from pipeline.raw.places import raw_store
from pipeline.settings.connect import make_client
from pipeline.settings.invocation import Settings
from pipeline.settings.lookup import read_settings
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from tests.archived import NOW, lines_of, run_object, step_object
from tests.syncs import SOURCE, environ_for, hold_back, raw_files, read_all, wait_until
from tests.thread_cluster import ThreadCluster


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(threads=24) as server:
        yield server


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.jsonl"
    path.write_bytes(lines_of([run_object(), step_object("step_1")]))
    return path


def settings_for(server: RunningEmulator, folder: Path, **flags: object) -> Settings:
    given = {"concurrency": 8, "data_dir": str(folder / "data"), "attempts": 1000, **flags}
    return read_settings(given, environ_for(server), folder)


def fleet_for(settings: Settings, cluster: Any) -> RayFleet:
    folder = raw_store(settings.data_dir).folder
    return RayFleet(settings, folder, ExtractOptions(concurrency=8), full=False, cluster=cluster)


async def sync_with(
    fleet: RayFleet, settings: Settings, server: RunningEmulator, *, threads: int | None = None
) -> SyncResult:
    ids = server.corpus.thread_ids()[:threads]
    options = SyncOptions(source=SOURCE, data_dir=settings.data_dir, thread_ids=ids)
    client = make_client(settings)
    async with client:
        return await run_sync(client, options, progress=Progress(), choose_fleet=lambda _: fleet)


@dataclass
class OtherDisk(ThreadCluster):
    """Machines on which the data folder is another disk."""

    disk: Path = Path()

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
        for job in jobs:
            yield work(replace(job, raw_folder=self.disk) if isinstance(job, FilesJob) else job)


@dataclass
class Loses(ThreadCluster):
    """Machines whose parts are gone when all is done."""

    raw: Path = Path()

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
        for found in super().run(work, jobs):
            for part in found.parts if isinstance(found, FilesRead) else ():
                (self.raw / part.source / f"{part.name}.parquet").unlink()
            yield found


def import_on(cluster: Any, folder: Path, archive: Path) -> None:
    work = RayImport(cluster, folder / "data", "archive", None)
    work.run([archive], progress=ImportProgress(), now=lambda: NOW, lock_wait_s=1.0)


def test_an_import_whose_workers_have_another_folder_is_refused_and_says_so(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(ConfigurationError, match="--data-dir must be a folder that all machines of the cluster share"):
        import_on(OtherDisk(disk=tmp_path / "other" / "raw"), tmp_path, archive)

    assert not list(tmp_path.glob("other/raw/*/*"))


def test_parts_that_workers_landed_and_nobody_finds_are_an_error(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(IncompleteError, match=r"of 1 raw parts that workers landed 1 are not in .*raw"):
        import_on(Loses(raw=tmp_path / "data" / "raw"), tmp_path, archive)

    import_on(ThreadCluster(), tmp_path, archive)

    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(1,)]


def test_an_archive_that_is_another_file_on_another_machine_is_refused(tmp_path: Path, archive: Path) -> None:
    class ChangesIt(ThreadCluster):
        def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
            yield from super().run(work, jobs)
            archive.write_bytes(lines_of([run_object()]))

    with pytest.raises(ConfigurationError, match=r"archive\.jsonl has changed, or is another file than elsewhere"):
        import_on(ChangesIt(), tmp_path, archive)


def test_an_import_of_what_is_known_lands_nothing(tmp_path: Path, archive: Path) -> None:
    import_on(ThreadCluster(), tmp_path, archive)
    landed = raw_files(tmp_path / "data")

    import_on(ThreadCluster(), tmp_path, archive)

    assert raw_files(tmp_path / "data") == landed


def test_a_worker_with_another_version_of_the_program_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"and not 0\.0\.1: install the same everywhere"):
        check_version("0.0.1")


def test_a_cancelled_extraction_lands_what_it_has_and_uses_the_cluster_from_one_thread_at_a_time(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    settings, cluster = settings_for(emulator, tmp_path), ThreadCluster()
    hold_back(emulator, after_requests=30)

    async def interrupt() -> SyncResult:
        syncing = asyncio.create_task(sync_with(fleet_for(settings, cluster), settings, emulator))
        await asyncio.to_thread(wait_until, lambda: len(emulator.requests()) > 40, what="requests held back")
        cluster.waiting.clear()
        await asyncio.to_thread(cluster.waiting.wait)
        syncing.cancel()
        return await syncing

    interrupted = asyncio.run(interrupt())
    wait_for_loads()
    emulator.clear_faults()
    landed = len(raw_files(tmp_path / "data"))
    again = asyncio.run(sync_with(fleet_for(settings, ThreadCluster()), settings, emulator))

    assert (interrupted.verdict, again.verdict) == ("interrupted", "complete")
    assert cluster.most_inside == 1
    # The opening, the closing, and what the shares had.
    assert landed > 2
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(emulator.truth().steps,)]


def wait_for_loads() -> None:
    """An interrupted sync leaves a load to end with its process; here the process goes on."""
    for thread in threading.enumerate():
        if thread.name in ("loader", "load"):
            thread.join()


def test_a_share_that_fails_has_the_others_land_what_they_hold(emulator: RunningEmulator, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path)
    hold_back(emulator, after_requests=30)

    @dataclass
    class OneFails(ThreadCluster):
        """The second ticket that is asked for tells of a worker that was given up."""

        def wait(self, tickets: Any, **options: Any) -> list[Any]:
            if len(emulator.requests()) > 40 and len(tickets) == 2:
                return [tickets[1]]
            return super().wait(tickets, **options)

        def get(self, ticket: Any) -> Any:
            if not hasattr(ticket, "done") or ticket.done():
                return super().get(ticket)
            raise PipelineError("given up")

    cluster = OneFails()
    result = asyncio.run(sync_with(fleet_for(settings, cluster), settings, emulator))

    assert (result.verdict, str(result.error)) == ("refused", "given up")
    assert cluster.actors[0].owner.stopping
    assert len(raw_files(tmp_path / "data")) > 2


def test_what_one_round_of_a_sync_has_learned_of_the_pace_the_next_one_keeps(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    settings, cluster = settings_for(emulator, tmp_path), ThreadCluster()
    fleet = fleet_for(settings, cluster)

    async def two_rounds() -> None:
        await sync_with(fleet, settings, emulator, threads=2)
        cluster.actors[0].owner.grant(Ask(8, refused_ago_s=0.0))
        await sync_with(fleet, settings, emulator, threads=2)

    asyncio.run(two_rounds())

    [coordinator] = cluster.actors
    # Without a push-back nothing spaces the requests.
    assert coordinator.owner.grant(Ask(8)).every_s > 0


def test_a_cluster_without_processors_is_given_tasks_that_wait_for_some() -> None:
    assert [count_tasks(0, processors=processors) for processors in (0, 2, 64)] == [4, 4, 64]
    assert count_tasks(6, processors=0) == 6
