"""How many requests may be under way and how fast they may start: learned from the server, within the user's limits."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Requests under way at first; it grows by one with each answer until something speaks against it.
_FIRST_WINDOW = 8
# Latency is flat while its average is below this multiple of the best average seen.
_FLAT_LATENCY = 3.0
_AVERAGE_OVER = 20
# The search for the rate that a server accepts: from the first of these it doubles until the server pushes back again.
_FIRST_RATE = 20.0
_SEARCH_DOUBLES_S = 0.25
_RATE_WINDOW_S = 1.0
# From then on the rate goes from what was surely accepted to what was perhaps, and a little beyond, in this time; after
# that it grows by a share per second, and the longer it holds the faster.
_RAMP_S = 10.0
_BEYOND = 1.02
_GROWTH = 0.002
_GROWTH_DOUBLES_S = 20.0
# Push-backs of requests that were already under way belong to the one that came first.
_SAME_PUSH_S = 0.25
_LEAST_STEP = timedelta(microseconds=1)


class Stamps:
    """Instants that records are put in order by: each later than the one before, also when a clock is set back."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    def start_after(self, moment: datetime | None) -> None:
        """Give no instant up to this one."""
        if moment is not None and (self._last is None or moment > self._last):
            self._last = moment

    def next(self, now: datetime) -> datetime:
        """Now, or just after the last one where that is later."""
        self._last = now if self._last is None or now > self._last else self._last + _LEAST_STEP
        return self._last


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests can give their own. `monotonic` in seconds.

    What was recorded is compared by `stamp`; `now`, which may jump either way, is for what others say of time.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    stamps: Stamps = field(default_factory=Stamps)

    def stamp(self) -> datetime:
        """The instant for a record, later than all before."""
        return self.stamps.next(self.now())


class Moment(Protocol):
    """A point of monotonic time that processes can share, such as a multiprocessing.Value of type double."""

    value: float


@dataclass(slots=True)
class OwnMoment:
    """A point of monotonic time of this process alone."""

    value: float = 0.0


class Pacer:
    """One for each server: bounds requests under way, spaces their starts, and holds all of them back in a pause."""

    def __init__(
        self,
        *,
        concurrency: int,
        requests_per_minute: float | None = None,
        clock: Clock | None = None,
        paused_until: Moment | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._most = concurrency
        self._most_per_s = requests_per_minute / 60 if requests_per_minute else None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._under_way = 0
        self._window = float(min(_FIRST_WINDOW, concurrency))
        self._latency = _Latency()
        self._rate = LearnedRate()
        self._next_start = 0.0
        self._paused_until = paused_until or OwnMoment()
        # It keeps nothing of a request, so all share one.
        self._slot = _Slot(self)

    @property
    def window(self) -> int:
        """Requests that may be under way now."""
        return int(self._window)

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Room for one request, when it may start."""
        return self._slot

    def succeeded(self, latency_s: float) -> None:
        """A request was answered well: while latency stays flat there is room for one more."""
        self._rate.accepted(self._clock.monotonic())
        if self._latency.add(latency_s) and self._window < self._most:
            self._window += 1.0 if not self._rate.is_learned else 1.0 / self._window
            self._wake()

    def pushed_back(self) -> None:
        """The server said that this is too much (429, 503): half as many at once, and no faster than it accepted."""
        if self._rate.refused(self._clock.monotonic()):
            self._window = max(1.0, self._window / 2)

    def pause(self, seconds: float) -> None:
        """Start no request for that long: the server's wish holds for the whole key, not for one request."""
        until = max(self._paused_until.value, self._clock.monotonic() + seconds)
        self._paused_until.value = until
        self._rate.hold_until(until)

    async def enter(self) -> None:
        """Wait until one more request may start; it has to `leave`, unless this raises."""
        await self._take_room()
        try:
            await self._wait_for_start()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """A request that had entered has ended, however it ended."""
        self._under_way -= 1
        self._wake()

    async def _take_room(self) -> None:
        if self._under_way < self.window and not self._waiting:
            self._under_way += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._under_way -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        """Give free room to those who wait; who is woken has the room already."""
        while self._waiting and self._under_way < self.window:
            turn = self._waiting.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)

    async def _wait_for_start(self) -> None:
        while (wait_s := max(self._paused_until.value, self._next_start) - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait_s)
        now = self._clock.monotonic()
        rate = self._rate.at(now)
        if self._most_per_s is not None:
            rate = min(rate, self._most_per_s) if rate is not None else self._most_per_s
        if rate is not None:
            self._next_start = max(now, self._next_start) + 1 / rate


class _Slot(AbstractAsyncContextManager[None]):
    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer

    async def __aenter__(self) -> None:
        await self._pacer.enter()

    async def __aexit__(self, *_: object) -> None:
        self._pacer.leave()


class _Latency:
    """Whether answers still come as fast as they did at best."""

    def __init__(self) -> None:
        self._average = 0.0
        self._best = float("inf")
        self._count = 0

    def add(self, latency_s: float) -> bool:
        """Take one answer's seconds; True while latency is flat."""
        self._count += 1
        self._average += (latency_s - self._average) / min(self._count, _AVERAGE_OVER)
        if self._count >= _AVERAGE_OVER:
            self._best = min(self._best, self._average)
        return self._average <= _FLAT_LATENCY * self._best


class LearnedRate:
    """Requests per second that the server accepts; nothing is assumed before it first pushes back.

    That starts a search from a low rate. When the server pushes back again, what it accepted meanwhile bounds its rate:
    from below if its bucket filled up in the pause, from above if it did not. Each further push-back measures anew.
    """

    def __init__(self) -> None:
        self._lately: deque[float] = deque()
        self._accepted = 0
        self._low = self._high = 0.0
        self._refusals = 0
        self._refused_at = float("-inf")
        self._since = 0.0

    @property
    def is_learned(self) -> bool:
        """Whether the server ever pushed back."""
        return self._refusals > 0

    def accepted(self, now: float) -> None:
        """One request was accepted."""
        if self.is_learned:
            self._accepted += 1
            self._lately.append(now)
            while self._lately[0] < now - _RATE_WINDOW_S:
                self._lately.popleft()

    def refused(self, now: float) -> bool:
        """One request was refused; False if that belongs to a refusal that is already known."""
        if now - self._refused_at < _SAME_PUSH_S or now < self._since:
            return False
        self._refusals += 1
        if self._refusals > 1:
            self._low, self._high = self._measure(now)
        self._refused_at = self._since = now
        self._accepted = 0
        self._lately.clear()
        return True

    def hold_until(self, moment: float) -> None:
        """Time does not count before that."""
        self._since = max(self._since, moment)

    def at(self, now: float) -> float | None:
        """The rate to keep now; None while there is no reason to keep one."""
        if not self.is_learned:
            return None
        held_s = max(0.0, now - self._since)
        if self._refusals == 1:
            return self._searched(held_s)
        if held_s <= _RAMP_S:
            return self._low + (self._high - self._low) * held_s / _RAMP_S
        doublings = min((held_s - _RAMP_S) / _GROWTH_DOUBLES_S, 30)
        return float(self._high * (1 + _GROWTH * _GROWTH_DOUBLES_S * (2.0**doublings - 1)))

    def _measure(self, now: float) -> tuple[float, float]:
        """The rate to begin with and the one to end the ramp with."""
        held_s = max(now - self._since, 0.1)
        if self._refusals == 2:
            # The end of the search: its last second lags behind, its last rate was too much.
            return max(1.0, len(self._lately) / min(_RATE_WINDOW_S, held_s)), max(1.0, self._searched(held_s))
        surely = self._accepted / (now - self._refused_at)
        perhaps = self._accepted / held_s
        return max(1.0, (surely + perhaps) / 2), max(1.0, perhaps * _BEYOND)

    def _searched(self, held_s: float) -> float:
        return float(_FIRST_RATE * 2.0 ** min(held_s / _SEARCH_DOUBLES_S, 30))
