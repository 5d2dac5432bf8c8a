"""Extraction in several processes of one machine: each walks its share of the threads and lands its own parts.

The parent loads and shows progress. A worker hears from it through a pipe, and ends at once when the parent is gone.
"""

import asyncio
import contextlib
import multiprocessing.connection
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from pipeline.cluster.crew import Crew
from pipeline.extract.fetching import ExtractOptions, Outcome, Progress
from pipeline.extract.share import Assignment, Job, Report, joint_outcome, sum_up
from pipeline.http.client import Traffic
from pipeline.settings.invocation import Settings

_LOOK_EVERY_S = 0.2
_STOP_TIMEOUT_S = 1.5


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    link: Connection
    report: Report = field(default_factory=lambda: Report(Progress(), Traffic(), 0))


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers for one sync; concurrency and pace of the settings are shared out among them."""

    settings: Settings
    folder: Path
    workers: int
    options: ExtractOptions
    full: bool
    crew: Crew = field(default_factory=Crew)

    async def extract(self, work: Assignment) -> Outcome:
        """Walk all of it; a cancelled extraction ends as interrupted."""
        workers = [_Worker(process, link) for process, link in self.crew.take(self.workers)]
        for number, worker in enumerate(workers):
            # One that has died already is found out by its silence.
            with contextlib.suppress(OSError):
                worker.link.send((self._job(work, number), self.workers))
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
        sum_up([worker.report for worker in workers], work)
        return joint_outcome([worker.report.outcome for worker in workers])

    def _job(self, work: Assignment, number: int) -> Job:
        return Job(
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


async def _follow(workers: Sequence[_Worker], work: Assignment) -> None:
    """Pass on what the workers say until all have ended; where one met an error the others are told to stop."""
    parts = 0
    while not all(_is_over(worker) for worker in workers):
        await asyncio.to_thread(_read_reports, workers)
        sum_up([worker.report for worker in workers], work)
        landed_parts = sum(worker.report.parts for worker in workers)
        for _ in range(landed_parts - parts):
            work.landed()
        parts = landed_parts
        if any(worker.report.outcome and worker.report.outcome.error for worker in workers):
            _stop(workers)


def _read_reports(workers: Sequence[_Worker]) -> None:
    """Take what the workers have said; waits for something to be said, but not for long."""
    links = {worker.link: worker for worker in workers if not worker.link.closed}
    for ready in multiprocessing.connection.wait(list(links), timeout=_LOOK_EVERY_S):
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
