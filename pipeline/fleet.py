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

from pipeline.client import Traffic
from pipeline.connect import make_client
from pipeline.extract import ExtractOptions, Outcome, Progress
from pipeline.garbage import tune_garbage_collector
from pipeline.pacing import Moment
from pipeline.settings import Settings
from pipeline.share import Assignment, Job, Report, Share, joint_outcome, sum_up

# Below this many threads, starting a process costs more than it saves.
LEAST_THREADS = 250
MOST_WORKERS = 4
_REPORT_EVERY_S = 0.2
_STOP_TIMEOUT_S = 1.5


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    link: Connection
    report: Report = field(default_factory=lambda: Report(Progress(), Traffic(), 0))


def count_workers(asked: int, *, threads: int, new_threads: int) -> int:
    """How many processes fetch: as asked, never more than there are threads; 0 asked is as many as help.

    That is one less than there are processors, for one is busy loading, and none (0) where little is new.
    """
    if asked:
        return min(asked, threads)
    return 0 if new_threads < LEAST_THREADS else max(1, min((os.cpu_count() or 1) - 1, MOST_WORKERS))


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers for one sync; concurrency and pace of the settings are shared out among them."""

    settings: Settings
    folder: Path
    workers: int
    options: ExtractOptions
    full: bool

    async def extract(self, work: Assignment) -> Outcome:
        """Walk all of it; a cancelled extraction ends as interrupted."""
        paused_until = multiprocessing.get_context("spawn").Value("d", 0.0, lock=False)
        workers = [self._start(work, number, paused_until=paused_until) for number in range(self.workers)]
        try:
            await _follow(workers, work)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            _stop(workers)
            _join(workers)
            return Outcome(interrupted=True)
        # It has said its last word; what it took is counted as ours only then.
        _join(workers)
        sum_up([worker.report for worker in workers], work.progress, work.traffic)
        return joint_outcome([worker.report.outcome for worker in workers])

    def _start(self, work: Assignment, number: int, *, paused_until: Moment) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        job = Job(
            settings=self.settings,
            folder=self.folder,
            sync_id=work.sync_id,
            started_at=work.started_at,
            states=work.states.gather_every(self.workers, number),
            options=self.options,
            full=self.full,
            # The parent is writer 0.
            writer=number + 1,
        )
        process = context.Process(
            target=_work, args=(job, theirs, paused_until, self.workers), name=f"extract-{number}", daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)


async def _follow(workers: Sequence[_Worker], work: Assignment) -> None:
    """Pass on what the workers say until all have ended; where one met an error the others are told to stop."""
    parts = 0
    while not all(_is_over(worker) for worker in workers):
        await asyncio.to_thread(_read_reports, workers)
        sum_up([worker.report for worker in workers], work.progress, work.traffic)
        landed_parts = sum(worker.report.parts for worker in workers)
        for _ in range(landed_parts - parts):
            work.landed()
        parts = landed_parts
        if any(worker.report.outcome and worker.report.outcome.error for worker in workers):
            _stop(workers)


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


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.link.send("stop")


def _join(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.join(_STOP_TIMEOUT_S)


def _work(job: Job, link: Connection, paused_until: Moment, sharers: int) -> None:
    """A worker's whole life."""
    tune_garbage_collector()
    # Ctrl-C reaches the whole process group; the parent decides and tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_extract(job, link, paused_until, sharers))
    link.close()
    # As at the end of the command line: not through the interpreter's own end.
    os._exit(0)


async def _extract(job: Job, link: Connection, paused_until: Moment, sharers: int) -> None:
    share = Share(job, make_client(job.settings, share=sharers, paused_until=paused_until))
    _obey(link)
    reporting = asyncio.create_task(_report(link, share.report))
    last = await share.run()
    reporting.cancel()
    # A parent that was told to end does not wait for long; what has landed is loaded by the next sync.
    with contextlib.suppress(OSError):
        link.send(last)


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
