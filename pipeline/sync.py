"""The main job: load what landed, plan, extract and land while loading, load the rest, say how it went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from pipeline import __version__
from pipeline.client import ApiClient
from pipeline.errors import DamagedPartError, IncompleteError, PipelineError
from pipeline.extract import ExtractOptions, Outcome, Progress, extract_threads
from pipeline.fleet import Fleet
from pipeline.lander import Lander
from pipeline.landing import PartWriter, RawStore, new_sync_id
from pipeline.load import load_new_parts
from pipeline.loader import in_daemon_thread, loading
from pipeline.pages import SyncSummary
from pipeline.plan import fresh_states, thread_tasks
from pipeline.planning import read_thread_states
from pipeline.warehouse import open_for_reading, read_frame


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What to sync and where to put it; `lock_wait_s` is how long a load waits for another process that writes.

    `kind`, `project` and `models` tell the warehouse what kind of server it is, which project of its organization is
    billed and what its deployments' names stand for.
    """

    source: str
    data_dir: Path
    thread_ids: Sequence[str]
    full: bool = False
    lock_wait_s: float = 30.0
    kind: str | None = None
    project: str | None = None
    models: Mapping[str, str] | None = None
    extract: ExtractOptions = field(default_factory=ExtractOptions)

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return warehouse_path(self.data_dir)

    @property
    def raw_folder(self) -> Path:
        """The folder of raw parts."""
        return raw_store(self.data_dir).folder


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How a sync ended: verdict is complete, incomplete, refused or interrupted.

    `damage` tells of parts of earlier syncs that had to be set aside when it began.
    """

    sync_id: str
    verdict: str
    started_at: datetime
    finished_at: datetime
    error: PipelineError | None = None
    damage: DamagedPartError | None = None


def warehouse_path(data_dir: Path) -> Path:
    """The DuckDB file of a data folder."""
    return data_dir / "warehouse.duckdb"


def raw_store(data_dir: Path) -> RawStore:
    """The raw parts of a data folder."""
    return RawStore(data_dir / "raw")


async def run_sync(
    client: ApiClient, options: SyncOptions, *, progress: Progress, fleet: Fleet | None = None
) -> SyncResult:
    """Fetch everything that the plan asks for, and have it in the warehouse; a `fleet` fetches in several processes.

    Landed parts of earlier syncs are loaded first. A cancelled sync lands what it has and ends as interrupted.
    Raises WarehouseLockedError if the load has to give up; all that was fetched is then in raw parts.
    """
    store = raw_store(options.data_dir)
    damage = await _load_earlier(store, options)
    started_at = client.clock.now()
    states = _read_states(options, now=started_at)
    progress.threads_total = states.height
    sync_id = new_sync_id(started_at)
    with loading(store, options.warehouse) as loader:
        lander = Lander(PartWriter(store, source=options.source, sync_id=sync_id), landed=loader.wake)
        await lander.open(options.thread_ids, _opening(options, started_at))
        if fleet is None:
            outcome = await extract_threads(
                client,
                thread_tasks(states, full=options.full),
                lander=lander,
                options=options.extract,
                progress=progress,
            )
        else:
            outcome = await fleet.extract(
                states, sync_id, progress=progress, traffic=client.traffic, landed=loader.wake
            )
        finished_at = client.clock.now()
        verdict = _verdict(outcome, progress)
        await lander.close(
            _summary(client, options, progress, started_at=started_at, finished_at=finished_at, verdict=verdict),
            finished_at,
        )
    if not outcome.interrupted:
        await in_daemon_thread(loader.join)
        await in_daemon_thread(lambda: load_new_parts(store, options.warehouse, wait_s=options.lock_wait_s))
        if loader.damage is not None:
            raise loader.damage
        _check_walks(options.warehouse, sync_id, walks=progress.walks)
    return SyncResult(sync_id, verdict, started_at, finished_at, outcome.error, damage)


async def _load_earlier(store: RawStore, options: SyncOptions) -> DamagedPartError | None:
    """Load parts of earlier syncs; what damaged ones held is not in the warehouse, so the plan has it again."""
    try:
        await in_daemon_thread(lambda: load_new_parts(store, options.warehouse, wait_s=options.lock_wait_s))
    except DamagedPartError as error:
        return error
    return None


def _check_walks(warehouse: Path, sync_id: str, *, walks: int) -> None:
    """Raises IncompleteError unless every walk that ended is in the warehouse: what was fetched must not get lost."""
    with open_for_reading(warehouse) as connection:
        query = "select count(*) as walks from walks where sync_id = $sync_id"
        loaded = read_frame(connection, query, {"sync_id": sync_id}).item()
    if loaded != walks:
        raise IncompleteError(
            f"of {walks:,} lists that were walked only {loaded:,} are in {warehouse}: raw parts of {sync_id} are gone."
            " Run the same command again; it fetches what is missing"
        )


def _verdict(outcome: Outcome, progress: Progress) -> str:
    if outcome.interrupted:
        return "interrupted"
    if outcome.error is not None:
        return "refused"
    return "incomplete" if progress.failed_threads or progress.found_nothing else "complete"


def _read_states(options: SyncOptions, *, now: datetime) -> pl.DataFrame:
    if not options.warehouse.exists():
        return fresh_states(options.thread_ids)
    with open_for_reading(options.warehouse) as connection:
        return read_thread_states(connection, options.thread_ids, source=options.source, now=now)


def _opening(options: SyncOptions, started_at: datetime) -> SyncSummary:
    """What is known of a sync that begins; the names of models are needed to price its first runs."""
    return SyncSummary(
        started_at=started_at,
        pipeline_version=__version__,
        kind=options.kind,
        project=options.project,
        models=dict(options.models) if options.models else None,
    )


def _summary(
    client: ApiClient,
    options: SyncOptions,
    progress: Progress,
    *,
    started_at: datetime,
    finished_at: datetime,
    verdict: str,
) -> SyncSummary:
    return msgspec.structs.replace(
        _opening(options, started_at),
        finished_at=finished_at,
        verdict=verdict,
        threads=progress.threads_done,
        threads_failed=len(progress.failed_threads),
        requests=client.traffic.requests,
        retries=client.traffic.retries,
    )
