"""The main job: load what landed, plan, extract and land while loading, load the rest, say how it went."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from pipeline import __version__
from pipeline.client import ApiClient
from pipeline.errors import PipelineError, WarehouseLockedError
from pipeline.extract import ExtractOptions, Extractor, Progress
from pipeline.landing import PartRow, PartWriter, RawStore, new_sync_id
from pipeline.load import load_new_parts
from pipeline.pages import SyncSummary, Walk
from pipeline.planning import fresh_states, read_thread_states, thread_tasks
from pipeline.warehouse import open_for_reading

# A part is landed when it has this many bytes of bodies, or when the last one landed that long ago.
PART_BYTES = 16 * 2**20
PART_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What to sync and where to put it; `lock_wait_s` is how long a load waits for another process that writes."""

    source: str
    data_dir: Path
    thread_ids: Sequence[str]
    full: bool = False
    lock_wait_s: float = 30.0
    extract: ExtractOptions = field(default_factory=ExtractOptions)

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return warehouse_path(self.data_dir)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How a sync ended: verdict is complete, incomplete, refused or interrupted."""

    sync_id: str
    verdict: str
    started_at: datetime
    finished_at: datetime
    error: PipelineError | None = None


def warehouse_path(data_dir: Path) -> Path:
    """The DuckDB file of a data folder."""
    return data_dir / "warehouse.duckdb"


def raw_store(data_dir: Path) -> RawStore:
    """The raw parts of a data folder."""
    return RawStore(data_dir / "raw")


async def run_sync(client: ApiClient, options: SyncOptions, *, progress: Progress) -> SyncResult:
    """Fetch everything that the plan asks for, and have it in the warehouse.

    Landed parts of earlier syncs are loaded first. A cancelled sync lands what it has and ends as interrupted.
    Raises WarehouseLockedError if the load has to give up; all that was fetched is then in raw parts.
    """
    store = raw_store(options.data_dir)
    await asyncio.to_thread(load_new_parts, store, options.warehouse, wait_s=options.lock_wait_s)
    started_at = client.clock.now()
    states = _read_states(options, now=started_at)
    progress.threads_total = states.height
    sync_id = new_sync_id(started_at)
    lander = _Lander(PartWriter(store, source=options.source, sync_id=sync_id))
    await lander.open(options.thread_ids, started_at)
    with _loading(store, options.warehouse) as loader:
        lander.landed = loader.wake
        error, verdict = await _extract(client, options, states, lander=lander, progress=progress)
        finished_at = client.clock.now()
        await lander.close(_summary(client, progress, started_at, finished_at, verdict), finished_at)
    if verdict != "interrupted":
        await asyncio.to_thread(loader.join)
        await asyncio.to_thread(load_new_parts, store, options.warehouse, wait_s=options.lock_wait_s)
    return SyncResult(sync_id, verdict, started_at, finished_at, error)


async def _extract(
    client: ApiClient, options: SyncOptions, states: pl.DataFrame, *, lander: "_Lander", progress: Progress
) -> tuple[PipelineError | None, str]:
    extractor = Extractor(client, keep=lander.keep, progress=progress, options=options.extract)
    try:
        await extractor.run(thread_tasks(states, full=options.full))
    except PipelineError as error:
        return error, "refused"
    except asyncio.CancelledError:
        # The interruption ends here: what has been fetched is still to be landed.
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return None, "interrupted"
    return None, "incomplete" if progress.failed_threads else "complete"


def _read_states(options: SyncOptions, *, now: datetime) -> pl.DataFrame:
    if not options.warehouse.exists():
        return fresh_states(options.thread_ids)
    with open_for_reading(options.warehouse) as connection:
        return read_thread_states(connection, options.thread_ids, source=options.source, now=now)


def _summary(
    client: ApiClient, progress: Progress, started_at: datetime, finished_at: datetime, verdict: str
) -> SyncSummary:
    return SyncSummary(
        started_at=started_at,
        pipeline_version=__version__,
        finished_at=finished_at,
        verdict=verdict,
        threads=progress.threads_done,
        threads_failed=len(progress.failed_threads),
        requests=client.traffic.requests,
        retries=client.traffic.retries,
    )


class _Lander:
    """Collects walks and lands them in parts. While a full part is written, whoever brings the next one waits."""

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer
        self._lock = asyncio.Lock()
        self._landing: set[asyncio.Task[None]] = set()
        self._landed_at = 0.0
        self.landed: Callable[[], None] = lambda: None

    async def open(self, thread_ids: Sequence[str], started_at: datetime) -> None:
        """Land the plan, so that a sync that is killed at once leaves a trace."""
        self._writer.add_summary(SyncSummary(started_at=started_at, pipeline_version=__version__), started_at)
        self._writer.add_plan(thread_ids, started_at)
        await self._land()

    async def keep(self, walk: Walk) -> None:
        """Take a finished walk."""
        self._writer.add_walk(walk)
        if self._is_due():
            async with self._lock:
                if self._is_due():
                    await self._land()

    async def close(self, summary: SyncSummary, now: datetime) -> None:
        """Land what is left, and the summary."""
        if self._landing:
            await asyncio.wait(self._landing)
        self._writer.add_summary(summary, now)
        await self._land()

    def _is_due(self) -> bool:
        waited_s = asyncio.get_running_loop().time() - self._landed_at
        return self._writer.size_bytes >= PART_BYTES or waited_s >= PART_SECONDS

    async def _land(self) -> None:
        self._landed_at = asyncio.get_running_loop().time()
        task = asyncio.create_task(self._write(self._writer.take_rows()))
        self._landing.add(task)
        task.add_done_callback(self._landing.discard)
        # A sync that is interrupted now still finishes this part.
        await asyncio.shield(task)

    async def _write(self, rows: list[PartRow]) -> None:
        await asyncio.to_thread(self._writer.land, rows)
        self.landed()


class _Loader(threading.Thread):
    """Loads parts as they land, where the warehouse is free; what it cannot load is left to the end of the sync."""

    def __init__(self, store: RawStore, warehouse: Path) -> None:
        super().__init__(name="loader", daemon=True)
        self._store = store
        self._warehouse = warehouse
        self._woken = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """Say that a part has landed."""
        self._woken.set()

    def stop(self) -> None:
        """End after the load that is under way."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        """Load whenever woken."""
        while self._woken.wait() and not self._stopping:
            self._woken.clear()
            with contextlib.suppress(WarehouseLockedError):
                load_new_parts(self._store, self._warehouse, wait_s=0.0, beside_readers=False)


@contextlib.contextmanager
def _loading(store: RawStore, warehouse: Path) -> Iterator[_Loader]:
    loader = _Loader(store, warehouse)
    loader.start()
    try:
        yield loader
    finally:
        loader.stop()
