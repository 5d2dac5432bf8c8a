"""Extraction on a Ray cluster: many shares of the threads as tasks that are started again if their process dies."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.cluster.coordinator import Coordinator
from pipeline.cluster.ray_session import Cluster, call, open_cluster
from pipeline.cluster.ray_tasks import check_folder, check_version
from pipeline.errors import PipelineError
from pipeline.extract.fetching import ExtractOptions, Outcome
from pipeline.extract.plan import thread_tasks
from pipeline.extract.resume import go_on
from pipeline.extract.share import Assignment, Job, Report, Share, joint_outcome, sum_up
from pipeline.flatten.garbage_collector import tune_garbage_collector
from pipeline.http.event_loop import run_in_loop
from pipeline.http.shared_pace import PaceBudget
from pipeline.protocol.pages import LandedWalk
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import open_raw
from pipeline.settings.connect import make_client
from pipeline.settings.invocation import Settings

# So much is lost at most when a machine goes, and is held in a worker's memory of its plan.
SHARE_THREADS = 2_000
_REPORT_EVERY_S = 0.5
_WAIT_S = 0.3
_STOP_TIMEOUT_S = 10.0


@dataclass(slots=True)
class RayFleet:
    """Workers on a cluster for one command: connected to at the first extraction, left with `close`."""

    settings: Settings
    folder: Path
    options: ExtractOptions
    full: bool
    address: str | None = None
    cluster: Cluster | None = None
    _coordinator: Any = field(default=None, init=False)

    async def extract(self, work: Assignment) -> Outcome:
        """Walk all of it; a cancelled extraction, or one that met an error, ends when all workers have landed."""
        if work.states.is_empty():
            return Outcome()
        if self.cluster is None:
            self.cluster = await _connect(self.address, min(self.settings["workers"], work.states.height))
        if self._coordinator is None:
            budget = PaceBudget(requests_per_minute=self.settings["requests_per_minute"], sharers=self.cluster.workers)
            self._coordinator = self.cluster.start_actor(Coordinator, budget)
        return await _Round(self.cluster, self._coordinator, self._jobs(work, self.cluster.workers), work).run()

    async def close(self) -> None:
        """Leave the cluster."""
        if self.cluster is not None:
            await asyncio.to_thread(self.cluster.close)

    def _jobs(self, work: Assignment, workers: int) -> list[Job]:
        threads = work.states.height
        shares = min(threads, max(workers, -(-threads // SHARE_THREADS)))
        return [
            Job(
                settings=self.settings.for_workers(),
                folder=self.folder.resolve(),
                sync_id=work.sync_id,
                started_at=work.started_at,
                states=work.states.gather_every(shares, number),
                options=self.options,
                full=self.full,
                # Writer 0 is who started it all.
                writer=number + 1,
                flattens=True,
            )
            for number in range(shares)
        ]


async def _connect(address: str | None, workers: int) -> Cluster:
    starting = asyncio.ensure_future(asyncio.to_thread(open_cluster, address, workers=workers))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The thread goes on: what it has started is to end as well.
        with contextlib.suppress(PipelineError):
            (await starting).close()
        raise


@dataclass(frozen=True, slots=True)
class ShareTask:
    """One of `shares` shares for a cluster on which `workers` run at a time, started by a program of that version."""

    job: Job
    number: int
    shares: int
    workers: int
    version: str


class _Round:
    """One extraction on a cluster. What it does in threads it does one after another."""

    def __init__(self, cluster: Cluster, coordinator: Any, jobs: list[Job], work: Assignment) -> None:
        self._cluster = cluster
        self._coordinator = coordinator
        self._work = work
        self._waiting = [
            ShareTask(job, number, len(jobs), cluster.workers, __version__) for number, job in enumerate(jobs)
        ][::-1]
        self._running: list[Any] = []
        self._outcomes: list[Outcome | None] = []
        self._parts = 0
        self._is_stopping = False
        self._in_thread: asyncio.Future[None] | None = None

    async def run(self) -> Outcome:
        """How it ended, when no share of it runs any more; sums and news go to the work's owner meanwhile."""
        try:
            await self._do(self._open)
            while self._waiting or self._running:
                self._start_more()
                await self._do(self._take_ended)
                await self._do(self._tell)
                if not self._is_stopping and any(outcome and outcome.error for outcome in self._outcomes):
                    await self._do(self._stop)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            return await self._give_up(Outcome(interrupted=True))
        except PipelineError as error:
            return await self._give_up(Outcome(error=error))
        return joint_outcome(self._outcomes)

    async def _give_up(self, outcome: Outcome) -> Outcome:
        """Have all shares land what they hold, and wait for that; the outcome."""
        if self._in_thread is not None:
            # A thread is not cancelled with who waits for it.
            await asyncio.wait([self._in_thread])
        with contextlib.suppress(PipelineError):
            await self._do(self._stop)
        with contextlib.suppress(PipelineError):
            await self._do(self._wait_for_all)
            await self._do(self._tell)
        return outcome

    async def _do(self, act: Callable[[], None]) -> None:
        self._in_thread = asyncio.ensure_future(asyncio.to_thread(act))
        await asyncio.shield(self._in_thread)

    def _open(self) -> None:
        self._cluster.get(self._coordinator.open.remote())

    def _start_more(self) -> None:
        while self._waiting and len(self._running) < self._cluster.workers:
            self._running.append(self._cluster.start(walk_share, self._coordinator, self._waiting.pop()))

    def _take_ended(self) -> None:
        for ticket in self._cluster.wait(self._running, timeout_s=_WAIT_S):
            self._running.remove(ticket)
            report: Report = self._cluster.get(ticket)
            self._outcomes.append(report.outcome)

    def _tell(self) -> None:
        reports: list[Report] = self._cluster.get(self._coordinator.read.remote())
        sum_up(reports, self._work)
        if (parts := sum(report.parts for report in reports)) != self._parts:
            self._parts = parts
            self._work.landed()

    def _stop(self) -> None:
        self._waiting.clear()
        self._is_stopping = True
        self._cluster.get(self._coordinator.stop.remote())

    def _wait_for_all(self) -> None:
        self._cluster.wait(self._running, timeout_s=_STOP_TIMEOUT_S, count=len(self._running))


def walk_share(coordinator: Any, task: ShareTask) -> Report:
    """A task: one share, from its beginning or from where its predecessors, which have died, had landed it."""
    tune_garbage_collector()
    check_version(task.version)
    return run_in_loop(_walk(coordinator, task))


async def _walk(coordinator: Any, task: ShareTask) -> Report:
    job = task.job
    attempt: int = await call(coordinator.begin, task.number)
    store = open_raw(job.folder, named=job.settings["raw"])
    check_folder(store, PartName(job.settings.source, f"{job.sync_id}-0-000001"))
    before = await asyncio.to_thread(_landed_before, store, job, task.shares) if attempt else []
    tasks, progress = go_on(thread_tasks(job.states, full=job.full), before)
    client = make_client(job.settings, share=task.workers, budget=partial(call, coordinator.grant))
    mine = replace(job, writer=job.writer + attempt * task.shares)
    share = Share(mine, client, tasks=tasks, progress=progress)

    async def report(said: Report) -> bool:
        return bool(await call(coordinator.report, task.number, attempt, said))

    last = await _run_reporting(share, report)
    await report(last)
    return last


async def _run_reporting(share: Share, report: Callable[[Report], Awaitable[bool]]) -> Report:
    """Run a share while its reports may be given and say that it may go on; it lands what it has in any case."""
    working = asyncio.create_task(share.run())
    try:
        while not working.done() and await report(share.report()):
            await asyncio.wait([working], timeout=_REPORT_EVERY_S)
    finally:
        # Once only: what it does now is to land what it has.
        working.cancel()
        await asyncio.wait([working])
    return share.report(Outcome(interrupted=True)) if working.cancelled() else working.result()


def _landed_before(store: RawStore, job: Job, shares: int) -> list[LandedWalk]:
    """Walks of this share that earlier processes have landed, in that order."""
    of_sync = (part for part in store.list_parts() if (part.source, part.sync_id) == (job.settings.source, job.sync_id))
    numbered = [(_writer(part), part) for part in of_sync]
    # Each process of a share writes under a number of its own; 0 is who started it all.
    mine = [(writer, part) for writer, part in numbered if writer and writer % shares == job.writer % shares]
    ordered = sorted(mine, key=lambda entry: (entry[0], entry[1].name))
    return [walk for _, part in ordered for walk in store.read_part(part).walks]


def _writer(part: PartName) -> int:
    return int(part.name.rsplit("-", 2)[1])
