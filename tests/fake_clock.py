"""A clock whose time passes only while everybody sleeps: what the client waits is seen without waiting."""

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pipeline.http.pacing import Clock

START = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
# Turns of the event loop after which whoever can go on without time has done so.
_IDLE_TURNS = 30


@dataclass
class FakeClock:
    """Seconds since START; `chance` is what each draw of luck gives, `slept` every sleep in order."""

    time_s: float = 0.0
    chance: float = 0.0
    slept: list[float] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _sleepers: list[tuple[float, int, "asyncio.Future[None]"]] = field(default_factory=list)

    def clock(self) -> Clock:
        """What the client is given."""
        return Clock(
            now=lambda: START + timedelta(seconds=self.time_s),
            monotonic=lambda: self.time_s,
            sleep=self._sleep,
            chance=lambda: self.chance,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self.time_s + seconds, next(self._numbers), woken))
        if len(self._sleepers) == 1:
            loop.call_soon(self._turn, _IDLE_TURNS)
        await woken

    def _turn(self, left: int) -> None:
        loop = asyncio.get_running_loop()
        if left:
            loop.call_soon(self._turn, left - 1)
            return
        wake_at_s, _, woken = heapq.heappop(self._sleepers)
        self.time_s = max(self.time_s, wake_at_s)
        if not woken.done():
            woken.set_result(None)
        if self._sleepers:
            loop.call_soon(self._turn, _IDLE_TURNS)
