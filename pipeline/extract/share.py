"""One share of an extraction: its threads walked and landed, by a process of this machine or of another."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import polars as pl

from pipeline.errors import PipelineError
from pipeline.extract.fetching import ExtractOptions, Outcome, Progress
from pipeline.extract.plan import ThreadTask, thread_tasks
from pipeline.extract.protocols import extract_threads
from pipeline.flatten.background import Flattener, flattening
from pipeline.flatten.cache import FlatStore
from pipeline.http.client import ApiClient, Traffic
from pipeline.privacy.content import hiding_with
from pipeline.raw.landing import Lander
from pipeline.raw.places import open_raw
from pipeline.raw.writer import PartWriter
from pipeline.settings.invocation import Settings


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a sync leaves to other processes: rows of thread states, all to be walked.

    `progress` and `traffic` are to hold the sums of all processes, the latter on top of what was asked `before`;
    `landed` is to be called when there are new parts.
    """

    states: pl.DataFrame
    sync_id: str
    started_at: datetime
    progress: Progress
    traffic: Traffic
    before: Traffic
    landed: Callable[[], None]


class Extraction(Protocol):
    """A way to walk threads in other processes."""

    async def extract(self, work: Assignment) -> Outcome:
        """Walk all of it. A cancelled extraction has what was fetched landed, and ends as interrupted."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A share: rows of thread states, its number among those who write parts, and whether it flattens them too."""

    settings: Settings
    folder: Path
    sync_id: str
    started_at: datetime
    states: pl.DataFrame
    options: ExtractOptions
    full: bool
    writer: int
    flattens: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says: its counts so far, parts landed, and at the end how it ended."""

    progress: Progress
    traffic: Traffic
    parts: int
    outcome: Outcome | None = None


class Share:
    """The work on one job; to be made and run inside an event loop.

    `tasks` and `progress` go on with a share that another process has begun, else it begins with its states.
    """

    def __init__(
        self,
        job: Job,
        client: ApiClient,
        *,
        tasks: Iterable[ThreadTask] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._job = job
        self._client = client
        self._tasks = tasks
        self._progress = progress or Progress()
        client.clock.stamps.start_after(job.started_at)
        store = open_raw(job.folder, named=job.settings["raw"])
        hide = hiding_with(job.options.content_key)
        writer = PartWriter(store, source=job.settings.source, sync_id=job.sync_id, writer=job.writer, hide=hide)
        self._flattener: Flattener | None = None
        self._flat = FlatStore(store)
        self._lander = Lander(writer, landed=self._landed)

    def report(self, outcome: Outcome | None = None) -> Report:
        """The state of it."""
        parts = len(self._lander.parts) if self._flattener is None else self._flattener.parts_done
        return Report(self._progress, self._client.traffic, parts, outcome)

    async def run(self) -> Report:
        """Walk and land everything; a cancelled share lands what it has."""
        tasks = thread_tasks(self._job.states, full=self._job.full) if self._tasks is None else self._tasks
        with ExitStack() as stack:
            if self._job.flattens:
                self._flattener = stack.enter_context(flattening(self._flat, lambda: self._lander.parts))
            async with self._client:
                outcome = await extract_threads(
                    self._client, tasks, lander=self._lander, options=self._job.options, progress=self._progress
                )
            try:
                await self._flush()
            except PipelineError as error:
                outcome = Outcome(error=error)
        if self._flattener is not None:
            await asyncio.to_thread(self._flattener.join)
            await asyncio.to_thread(self._flattener.finish)
        return self.report(outcome)

    async def _flush(self) -> None:
        """Land what is left; who is told to stop meanwhile does that first."""
        landing = asyncio.create_task(self._lander.flush())
        try:
            await asyncio.shield(landing)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            await landing

    def _landed(self) -> None:
        if self._flattener is not None:
            self._flattener.wake()


def sum_up(reports: Sequence[Report], work: Assignment) -> None:
    """Have the sums of all shares in the counts of what they were given."""
    work.progress.add(report.progress for report in reports)
    for name in ("requests", "retries", "bytes"):
        total = getattr(work.before, name) + sum(getattr(report.traffic, name) for report in reports)
        setattr(work.traffic, name, total)
    work.traffic.trouble = next((report.traffic.trouble for report in reports if report.traffic.trouble), None)


def joint_outcome(outcomes: Sequence[Outcome | None]) -> Outcome:
    """How the whole ended; None is a worker that died without a word."""
    for outcome in outcomes:
        if outcome is not None and outcome.error is not None:
            return outcome
    if any(outcome is None for outcome in outcomes):
        return Outcome(error=PipelineError("a worker process died: run the same command again, what landed is kept"))
    return Outcome(interrupted=any(outcome is not None and outcome.interrupted for outcome in outcomes))
