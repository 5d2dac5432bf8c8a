"""Extraction in several processes of one machine: each walks its share of the threads and lands its own parts.

The parent loads and shows progress. A worker hears from it through a pipe, and ends at once when the parent is gone.
"""

import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import polars as pl

from pipeline.client import Traffic
from pipeline.config import Settings
from pipeline.connect import make_client
from pipeline.errors import PipelineError
from pipeline.extract import ExtractOptions, Outcome, Progress, extract_threads
from pipeline.garbage import tune_garbage_collector
from pipeline.lander import Lander
from pipeline.landing import PartWriter, RawStore
from pipeline.pacing import Moment
from pipeline.plan import thread_tasks

# Below this many threads, starting a process costs more than it saves.
LEAST_THREADS = 250
MOST_WORKERS = 4
_REPORT_EVERY_S = 0.2
_STOP_TIMEOUT_S = 1.5


@dataclass(frozen=True, slots=True)
class Job:
    """The share of one worker: rows of thread states, and its number among those who write parts."""

    settings: Settings
    folder: Path
    sync_id: str
    states: pl.DataFrame
    options: ExtractOptions
    full: bool
    writer: int
    share: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says: its counts so far, parts landed, and at the end how it ended."""

    progress: Progress
    traffic: Traffic
    parts: int
    outcome: Outcome | None = None


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    link: Connection
    report: Report = field(default_factory=lambda: Report(Progress(), Traffic(), 0))


def count_workers(asked: int, *, threads: int) -> int:
    """How many processes fetch: as asked, never more than there are threads; 0 asked is as many as help.

    That is one less than there are processors, for one is busy loading, and none (0) for a small sync.
    """
    if asked:
        return min(asked, threads)
    return 0 if threads < LEAST_THREADS else max(1, min((os.cpu_count() or 1) - 1, MOST_WORKERS))


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers for one sync; concurrency and pace of the settings are shared out among them."""

    settings: Settings
    folder: Path
    workers: int
    options: ExtractOptions
    full: bool

    async def extract(
        self,
        states: pl.DataFrame,
        sync_id: str,
        *,
        progress: Progress,
        traffic: Traffic,
        landed: Callable[[], None],
    ) -> Outcome:
        """Walk all threads of `states`; `progress` and `traffic` hold the sums, `landed` hears of new parts."""
        paused_until = multiprocessing.get_context("spawn").Value("d", 0.0, lock=False)
        workers = [self._start(states, sync_id, number, paused_until=paused_until) for number in range(self.workers)]
        parts = 0
        try:
            while not all(_is_over(worker) for worker in workers):
                await asyncio.to_thread(_read_reports, workers)
                _sum_up(workers, progress, traffic)
                if (landed_parts := sum(worker.report.parts for worker in workers)) > parts:
                    parts = landed_parts
                    landed()
                if any(worker.report.outcome and worker.report.outcome.error for worker in workers):
                    _stop(workers)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            _stop(workers)
            for worker in workers:
                worker.process.join(_STOP_TIMEOUT_S)
            return Outcome(interrupted=True)
        _sum_up(workers, progress, traffic)
        return _joint_outcome(workers)

    def _start(self, states: pl.DataFrame, sync_id: str, number: int, *, paused_until: Moment) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        job = Job(
            settings=self.settings,
            folder=self.folder,
            sync_id=sync_id,
            states=states.gather_every(self.workers, number),
            options=self.options,
            full=self.full,
            # The parent is writer 0.
            writer=number + 1,
            share=self.workers,
        )
        process = context.Process(target=_work, args=(job, theirs, paused_until), name=f"extract-{number}", daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)


def _read_reports(workers: Sequence[_Worker]) -> None:
    """Take what the workers have said; waits for something to be said, but not for long."""
    links = {worker.link: worker for worker in workers if not worker.link.closed}
    for ready in multiprocessing.connection.wait(list(links), timeout=_REPORT_EVERY_S):
        worker = next(worker for link, worker in links.items() if link is ready)
        try:
            worker.report = worker.link.recv()
        except (EOFError, OSError):
            # Its end; a reset if it left before it had read our last word.
            worker.link.close()


def _is_over(worker: _Worker) -> bool:
    return worker.link.closed


def _sum_up(workers: Sequence[_Worker], progress: Progress, traffic: Traffic) -> None:
    progress.add(worker.report.progress for worker in workers)
    for name in ("requests", "retries", "bytes"):
        setattr(traffic, name, sum(getattr(worker.report.traffic, name) for worker in workers))


def _joint_outcome(workers: Sequence[_Worker]) -> Outcome:
    outcomes = [worker.report.outcome for worker in workers]
    for outcome in outcomes:
        if outcome is not None and outcome.error is not None:
            return outcome
    if any(outcome is None for outcome in outcomes):
        return Outcome(error=PipelineError("a worker process died: run the same command again, what landed is kept"))
    return Outcome(interrupted=any(outcome is not None and outcome.interrupted for outcome in outcomes))


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.link.send("stop")


def _work(job: Job, link: Connection, paused_until: Moment) -> None:
    """A worker's whole life."""
    tune_garbage_collector()
    # Ctrl-C reaches the whole process group; the parent decides and tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_extract(job, link, paused_until))
    link.close()
    # As at the end of the command line: not through the interpreter's own end.
    os._exit(0)


async def _extract(job: Job, link: Connection, paused_until: Moment) -> None:
    client = make_client(job.settings, share=job.share, paused_until=paused_until)
    progress, parts = Progress(), 0

    def landed() -> None:
        nonlocal parts
        parts += 1

    writer = PartWriter(RawStore(job.folder), source=job.settings.source, sync_id=job.sync_id, writer=job.writer)
    lander = Lander(writer, landed=landed)
    _obey(link)
    reporting = asyncio.create_task(_report(link, lambda: Report(progress, client.traffic, parts)))
    async with client:
        tasks = thread_tasks(job.states, full=job.full)
        outcome = await extract_threads(client, tasks, lander=lander, options=job.options, progress=progress)
    reporting.cancel()
    try:
        await lander.flush()
    except PipelineError as error:
        outcome = Outcome(error=error)
    link.send(Report(progress, client.traffic, parts, outcome))


async def _report(link: Connection, report: Callable[[], Report]) -> None:
    while True:
        await asyncio.sleep(_REPORT_EVERY_S)
        link.send(report())


def _obey(link: Connection) -> None:
    """Cancel this task when the parent says stop; die when it is gone, so that nothing goes on unseen."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def listen() -> None:
        try:
            link.recv()
        except (EOFError, OSError):
            os._exit(1)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=listen, name="parent", daemon=True).start()
