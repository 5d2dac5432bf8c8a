"""The main job: load what landed, plan, extract and land while loading, load the rest, say how it went."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from pipeline import __version__
from pipeline.console.tables import count_of
from pipeline.errors import DamagedPartError, PipelineError, UnreachedError
from pipeline.extract.fetching import ExtractOptions, Outcome, Progress
from pipeline.extract.known_threads import read_last_instant, read_thread_states
from pipeline.extract.plan import fresh_states, thread_tasks, with_seen
from pipeline.extract.plan_source import PlanSource
from pipeline.extract.protocols import extract_threads
from pipeline.extract.share import Assignment, Extraction
from pipeline.flatten.background import Flattener, flattening
from pipeline.flatten.cache import FlatStore
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Clock
from pipeline.privacy.content import content_notes, hiding_with
from pipeline.privacy.forget_record import read_forgotten
from pipeline.protocol.pages import SyncSummary
from pipeline.raw.landing import Lander
from pipeline.raw.parts import PartName, RawStore, new_sync_id
from pipeline.raw.places import raw_store
from pipeline.raw.writer import PartWriter
from pipeline.verbs.sync.kept import Kept, read_kept
from pipeline.verbs.sync.walks_found import find_lost
from pipeline.warehouse.background import Loader, in_daemon_thread, loading
from pipeline.warehouse.database import open_for_reading, warehouse_path
from pipeline.warehouse.load import all_loaded, load_new_parts
from pipeline.warehouse.loaded_parts import sweep_leftovers
from pipeline.warehouse.lost_values import LostValue, any_counted
from pipeline.warehouse.part_rewriting import leave_out_again


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What to sync and where to put it; `lock_wait_s` is how long a load waits for another process that writes.

    `kind`, `project`, `models`, `provider` and `sku` tell the warehouse what kind of server it is, which project of its
    organization is billed, what its deployments' names stand for, who charges and for which deployment.
    `seen` is how many runs the server showed of a thread before it is asked for them.
    With a `plan` to plan from nothing is loaded, only landed and flattened.
    """

    source: str
    data_dir: Path
    thread_ids: Sequence[str]
    full: bool = False
    lock_wait_s: float = 30.0
    kind: str | None = None
    project: str | None = None
    models: Mapping[str, str] | None = None
    provider: str | None = None
    sku: str | None = None
    odd_fields: Sequence[str] = ()
    seen: Mapping[str, int] = field(default_factory=dict)
    extract: ExtractOptions = field(default_factory=ExtractOptions)
    plan: PlanSource | None = None

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

    `damage` tells of parts of earlier syncs that had to be set aside when it began, `lost` of values that could not be
    read, `kept` (None where nothing is loaded) of what is in the warehouse of all that was fetched.
    """

    sync_id: str
    verdict: str
    started_at: datetime
    finished_at: datetime
    seconds: float
    error: PipelineError | None = None
    damage: DamagedPartError | None = None
    lost: Sequence[LostValue] = ()
    kept: Kept | None = None


async def run_sync(
    client: ApiClient,
    options: SyncOptions,
    *,
    progress: Progress,
    choose_fleet: Callable[[pl.DataFrame], Extraction | None] = lambda _: None,
) -> SyncResult:
    """Fetch everything that the plan asks for, and have it in the warehouse; a fleet fetches in other processes.

    Landed parts of earlier syncs are loaded first. A cancelled sync lands what it has and ends as interrupted.
    Raises WarehouseLockedError if the load has to give up; all that was fetched is then in raw parts.
    """
    store = raw_store(options.data_dir)
    with ExitStack() as stack:
        damage = None if options.plan else await _load_earlier(store, options, stack)
        started_at, states = _begin(options, client.clock)
    started_s = client.clock.monotonic()
    progress.threads_total = states.height
    sync_id = new_sync_id(started_at)
    with _receiving(store, options, sync_id) as receiver:
        hide = hiding_with(options.extract.content_key)
        lander = Lander(PartWriter(store, source=options.source, sync_id=sync_id, hide=hide), landed=receiver.wake)
        await lander.open(options.thread_ids, _opening(options, started_at))
        work = Assignment(
            states,
            sync_id,
            started_at,
            progress=progress,
            traffic=client.traffic,
            before=replace(client.traffic),
            landed=receiver.wake,
        )
        outcome = await _fetch(client, options, work, lander, choose_fleet(states))
        finished_at, seconds = client.clock.stamp(), client.clock.monotonic() - started_s
        verdict = _verdict(outcome, progress)
        told = _summary(client, options, progress, started_at=started_at, finished_at=finished_at, verdict=verdict)
        await lander.close(told, finished_at)
    lost: Sequence[LostValue] = ()
    kept = None
    if not outcome.interrupted:
        await in_daemon_thread(receiver.join)
        with ExitStack() as stack:
            await in_daemon_thread(lambda: _take_rest(receiver, store, options, sync_id, stack))
            lost, kept = await _compare(receiver, options, sync_id, progress)
        if verdict == "complete" and (any_counted(lost) or (kept and kept.faults)):
            # It is known only now that all of it is loaded: the sync says again how it ended.
            verdict, said_at = "incomplete", client.clock.stamp()
            summary = _summary(client, options, progress, started_at=started_at, finished_at=said_at, verdict=verdict)
            await lander.close(summary, said_at)
            if options.plan is None:
                await in_daemon_thread(lambda: load_new_parts(store, options.warehouse, wait_s=options.lock_wait_s))
    return SyncResult(sync_id, verdict, started_at, finished_at, seconds, outcome.error, damage, lost, kept)


async def _fetch(
    client: ApiClient, options: SyncOptions, work: Assignment, lander: Lander, fleet: Extraction | None
) -> Outcome:
    """Walk what the plan asks for: a fleet does, or else this process."""
    if fleet is not None:
        return await fleet.extract(work)
    tasks = thread_tasks(work.states, full=options.full)
    return await extract_threads(client, tasks, lander=lander, options=options.extract, progress=work.progress)


async def _compare(
    receiver: Loader | Flattener, options: SyncOptions, sync_id: str, progress: Progress
) -> tuple[list[LostValue], Kept | None]:
    """What could not be read, and what is kept (None if nothing is loaded); threads with less of it have failed."""
    source, walks = options.source, _walks_to_find(options, progress)
    lost = find_lost(receiver, options.warehouse, options.raw_folder, sync_id, source=source, walks=walks)
    if options.plan is not None:
        return lost, None
    nameless = frozenset(progress.nameless_threads)
    kept = await asyncio.to_thread(read_kept, options.warehouse, sync_id, source=source, nameless=nameless)
    progress.failed_threads |= kept.thread_ids
    progress.failures += kept.faults
    return lost, kept


def _receiving(
    store: RawStore, options: SyncOptions, sync_id: str
) -> AbstractContextManager[Loader] | AbstractContextManager[Flattener]:
    """Who takes what has landed, in the background."""
    if options.plan is None:
        return loading(store, options.warehouse)
    return flattening(FlatStore(store), lambda: _parts_of(store, options, sync_id))


def _parts_of(store: RawStore, options: SyncOptions, sync_id: str) -> list[PartName]:
    return [part for part in store.list_parts() if (part.source, part.sync_id) == (options.source, sync_id)]


def _take_rest(
    receiver: Loader | Flattener, store: RawStore, options: SyncOptions, sync_id: str, stack: ExitStack
) -> None:
    """Load or flatten what is left; a warehouse stays open for reading until the end of the stack."""
    if isinstance(receiver, Flattener):
        leave_out_again(store, _parts_of(store, options, sync_id))
        receiver.finish()
    else:
        stack.enter_context(all_loaded(store, options.warehouse, wait_s=options.lock_wait_s))
        if receiver.damage is not None:
            raise receiver.damage


def _walks_to_find(options: SyncOptions, progress: Progress) -> int:
    """How many walks must be there: all, unless threads were forgotten since the sync began, which is then said."""
    forgotten = read_forgotten(options.data_dir)
    count = sum(forgotten.has(options.source, thread_id) for thread_id in options.thread_ids)
    if count:
        gone = f"{count_of(count, 'threads')} forgotten while this sync ran: nothing of what it fetched of them is kept"
        progress.hints.add(f"{gone}; name them as THREAD_ID to have them again")
        return 0
    return progress.walks


async def _load_earlier(store: RawStore, options: SyncOptions, stack: ExitStack) -> DamagedPartError | None:
    """Load parts of earlier syncs; what damaged ones held is not in the warehouse, so the plan has it again."""
    sweep_leftovers(store)
    loaded = all_loaded(store, options.warehouse, wait_s=options.lock_wait_s)
    try:
        await in_daemon_thread(lambda: stack.enter_context(loaded))
        return None
    except DamagedPartError as error:
        return error


def _verdict(outcome: Outcome, progress: Progress) -> str:
    if outcome.interrupted:
        return "interrupted"
    if outcome.error is not None:
        return "incomplete" if isinstance(outcome.error, UnreachedError) else "refused"
    return "incomplete" if progress.failed_threads or progress.found_nothing else "complete"


def _begin(options: SyncOptions, clock: Clock) -> tuple[datetime, pl.DataFrame]:
    """When this sync begins (after all that is on record, whatever the clock says) and what is known of its threads."""
    with nullcontext(options.warehouse) if options.plan is None else options.plan.open() as warehouse:
        if not warehouse.exists():
            return clock.stamp(), with_seen(fresh_states(options.thread_ids), options.seen)
        with open_for_reading(warehouse) as connection:
            clock.stamps.start_after(read_last_instant(connection, options.source))
            now = clock.stamp()
            ids, source, protocol = options.thread_ids, options.source, options.extract.protocol
            states = read_thread_states(connection, ids, source=source, now=now, protocol=protocol)
            return now, with_seen(states, options.seen)


def _opening(options: SyncOptions, started_at: datetime) -> SyncSummary:
    """What is known of a sync that begins; the names of models are needed to price its first runs."""
    return SyncSummary(
        started_at=started_at,
        pipeline_version=__version__,
        kind=options.kind,
        project=options.project,
        models=dict(options.models) if options.models else None,
        provider=options.provider,
        sku=options.sku,
        odd_fields=list(options.odd_fields),
        **content_notes(options.extract.content_key),
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
