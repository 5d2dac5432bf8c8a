"""How many requests may be under way, how fast they may start, and pauses that the server asked for."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests can give their own. `monotonic` in seconds."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class Pacer:
    """One for each server: bounds requests under way, spaces their starts, and holds all of them back in a pause."""

    def __init__(
        self, *, concurrency: int, requests_per_minute: float | None = None, clock: Clock | None = None
    ) -> None:
        self._clock = clock or Clock()
        self._slots = asyncio.Semaphore(concurrency)
        self._spacing_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next_start = 0.0
        self._paused_until = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Room for one request, when it may start."""
        async with self._slots:
            await self._wait_for_start()
            yield

    def pause(self, seconds: float) -> None:
        """Start no request for that long: the server's wish holds for the whole key, not for one request."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    async def _wait_for_start(self) -> None:
        while (wait_s := self._start_time() - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait_s)
        if self._spacing_s:
            self._next_start = max(self._clock.monotonic(), self._next_start) + self._spacing_s

    def _start_time(self) -> float:
        return max(self._paused_until, self._next_start)
