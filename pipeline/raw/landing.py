"""Finished walks to raw parts while a sync runs: by size, or when the last part is some seconds old."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from pipeline.protocol.pages import SyncSummary, Walk
from pipeline.raw.parts import PartName, PartRow
from pipeline.raw.writer import PartWriter

PART_BYTES = 6 * 2**20
PART_SECONDS = 5.0


class Lander:
    """Collects walks and lands them in parts. While a full part is written, whoever brings the next one waits."""

    def __init__(self, writer: PartWriter, *, landed: Callable[[], None]) -> None:
        self._writer = writer
        self._lock = asyncio.Lock()
        self._landing: set[asyncio.Task[None]] = set()
        self._landed_at = asyncio.get_running_loop().time()
        self._landed = landed
        self.parts: list[PartName] = []

    async def open(self, thread_ids: Sequence[str], summary: SyncSummary) -> None:
        """Land the plan, so that a sync that is killed at once leaves a trace; `summary` is of a sync that begins."""
        self._writer.add_summary(summary, summary.started_at)
        self._writer.add_plan(thread_ids, summary.started_at)
        await self._land()

    async def keep(self, walk: Walk) -> None:
        """Take a finished walk."""
        self._writer.add_walk(walk)
        if self._is_due():
            async with self._lock:
                if self._is_due():
                    await self._land()

    async def flush(self) -> None:
        """Land what is left of the walks."""
        if self._landing:
            await asyncio.wait(self._landing)
        await self._land()

    async def close(self, summary: SyncSummary, now: datetime) -> None:
        """Land what is left, and the summary."""
        self._writer.add_summary(summary, now)
        await self.flush()

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
        if (part := await asyncio.to_thread(self._writer.land, rows)) is not None:
            self.parts.append(part)
        self._landed()
