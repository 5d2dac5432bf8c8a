"""What there is to walk: handed out job by job, while others may still find some."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from pipeline.extract.plan import RunTask, ThreadTask

Job = ThreadTask | RunTask


class Jobs:
    """Work of many workers of one event loop: runs first, so that no more threads are open than there are workers."""

    def __init__(self, threads: Iterable[ThreadTask]) -> None:
        self._threads = iter(threads)
        self._runs: deque[RunTask] = deque()
        self._under_way = 0
        # Of each thread that is being walked, how many of its runs are left.
        self._open_runs: dict[str, int] = {}
        self._changed = asyncio.Event()

    async def next(self) -> Job | None:
        """A job, waiting while others may still find some; None when all work is done."""
        while (job := self._runs.popleft() if self._runs else next(self._threads, None)) is None:
            if not self._under_way:
                return None
            await self._changed.wait()
        self._under_way += 1
        return job

    def end(self, job: Job, found: Sequence[RunTask]) -> bool:
        """Take back a job that was done, with the runs that it found; whether all of its thread is done now."""
        self._runs.extend(found)
        left = self._open_runs.get(job.thread_id, 0) + (len(found) if isinstance(job, ThreadTask) else -1)
        self._open_runs[job.thread_id] = left
        if not left:
            del self._open_runs[job.thread_id]
        self._under_way -= 1
        # For those who wait now.
        self._changed.set()
        self._changed.clear()
        return not left
