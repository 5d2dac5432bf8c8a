"""Extraction on a Ray cluster: many shares of the threads as tasks that are started again if their process dies."""

import asyncio
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import __version__
from pipeline.client import Traffic
from pipeline.config import Settings
from pipeline.connect import make_client
from pipeline.errors import ConfigurationError, PipelineError
from pipeline.extract import ExtractOptions, Outcome, Progress
from pipeline.garbage import tune_garbage_collector
from pipeline.landing import PartName, RawStore
from pipeline.pace_budget import PaceBudget
from pipeline.pages import LandedWalk
from pipeline.plan import thread_tasks
from pipeline.raw_places import open_raw
from pipeline.ray_cluster import Cluster, open_cluster
from pipeline.resume import go_on
from pipeline.share import Job, Report, Share, joint_outcome, sum_up
from pipeline.share_desk import Desk

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

    async def extract(
        self,
        states: pl.DataFrame,
        sync_id: str,
        started_at: datetime,
        *,
        progress: Progress,
        traffic: Traffic,
        landed: Callable[[], None],
    ) -> Outcome:
        """Walk all threads of `states`; `progress` and `traffic` hold the sums, `landed` hears of new parts."""
        if states.is_empty():
            return Outcome()
        if self.cluster is None:
            self.cluster = await asyncio.to_thread(
                open_cluster, self.address, workers=min(self.settings["workers"], states.height)
            )
        jobs = self._jobs(states, sync_id, started_at, workers=self.cluster.workers)
        return await _Round(self.cluster, jobs, self.settings["requests_per_minute"]).run(progress, traffic, landed)

    async def close(self) -> None:
        """Leave the cluster."""
        if self.cluster is not None:
            await asyncio.to_thread(self.cluster.close)

    def _jobs(self, states: pl.DataFrame, sync_id: str, started_at: datetime, *, workers: int) -> list[Job]:
        shares = min(states.height, max(workers, -(-states.height // SHARE_THREADS)))
        return [
            Job(
                settings=self.settings.for_workers(),
                folder=self.folder.resolve(),
                sync_id=sync_id,
                started_at=started_at,
                states=states.gather_every(shares, number),
                options=self.options,
                full=self.full,
                # Writer 0 is who started it all.
                writer=number + 1,
                flattens=True,
            )
            for number in range(shares)
        ]


class _Round:
    """One extraction on a cluster."""

    def __init__(self, cluster: Cluster, jobs: list[Job], requests_per_minute: float | None) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._waiting = list(enumerate(jobs))[::-1]
        self._running: list[Any] = []
        self._outcomes: list[Outcome | None] = []
        budget = PaceBudget(requests_per_minute=requests_per_minute, sharers=cluster.workers)
        self._desk = cluster.start_actor(Desk, budget)

    async def run(self, progress: Progress, traffic: Traffic, landed: Callable[[], None]) -> Outcome:
        parts = 0
        try:
            while self._waiting or self._running:
                self._start_more()
                await asyncio.to_thread(self._take_ended)
                reports = await asyncio.to_thread(self._read)
                sum_up(reports, progress, traffic)
                if (landed_parts := sum(report.parts for report in reports)) != parts:
                    parts = landed_parts
                    landed()
                if any(outcome and outcome.error for outcome in self._outcomes):
                    await asyncio.to_thread(self._stop)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            await asyncio.to_thread(self._stop)
            sum_up(await asyncio.to_thread(self._read), progress, traffic)
            return Outcome(interrupted=True)
        except PipelineError as error:
            return Outcome(error=error)
        return joint_outcome(self._outcomes)

    def _start_more(self) -> None:
        while self._waiting and len(self._running) < self._cluster.workers:
            number, job = self._waiting.pop()
            arguments = (job, number, len(self._jobs), self._cluster.workers, __version__)
            self._running.append(self._cluster.start(walk_share, self._desk, *arguments))

    def _take_ended(self) -> None:
        for ticket in self._cluster.wait(self._running, timeout_s=_WAIT_S):
            self._running.remove(ticket)
            report: Report = self._cluster.get(ticket)
            self._outcomes.append(report.outcome)

    def _read(self) -> list[Report]:
        reports: list[Report] = self._cluster.get(self._desk.read.remote())
        return reports

    def _stop(self) -> None:
        """Have all shares land what they hold, and wait for that."""
        self._waiting.clear()
        self._cluster.get(self._desk.stop.remote())
        for ticket in self._cluster.ray.wait(self._running, num_returns=len(self._running), timeout=_STOP_TIMEOUT_S)[0]:
            self._running.remove(ticket)


def walk_share(desk: Any, job: Job, number: int, shares: int, workers: int, version: str) -> Report:
    """A task: one share, from its beginning or from where its predecessors, which have died, had landed it."""
    tune_garbage_collector()
    if version != __version__:
        raise ConfigurationError(
            f"{platform.node()} has run-steps-pipeline {__version__} and not {version}: install the same everywhere"
        )
    return asyncio.run(_walk(desk, job, number, shares=shares, workers=workers))


async def _walk(desk: Any, job: Job, number: int, *, shares: int, workers: int) -> Report:
    attempt: int = await desk.begin.remote(number)
    store = open_raw(job.folder, named=job.settings["raw"])
    _check_folder(store, job)
    before = await asyncio.to_thread(_landed_before, store, job, shares) if attempt else []
    tasks, progress = go_on(thread_tasks(job.states, full=job.full), before)
    client = make_client(job.settings, share=workers, budget=desk.grant.remote)
    mine = replace(job, writer=job.writer + attempt * shares)
    share = Share(mine, client, tasks=tasks, progress=progress)
    working = asyncio.create_task(share.run())
    while not working.done():
        if not await desk.report.remote(number, attempt, share.report()):
            working.cancel()
        await asyncio.wait([working], timeout=_REPORT_EVERY_S)
    last = working.result()
    await desk.report.remote(number, attempt, last)
    return last


def _check_folder(store: RawStore, job: Job) -> None:
    """Raises ConfigurationError unless this machine sees what the one that started the sync has landed."""
    try:
        store.read_body_bytes(PartName(job.settings.source, f"{job.sync_id}-0-000001"))
    except PipelineError as error:
        raise ConfigurationError(
            f"{platform.node()} does not see the raw parts of this sync in {store.place}:"
            " --data-dir must be a folder that all machines of the cluster share"
        ) from error


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
