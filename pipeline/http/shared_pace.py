"""One pace for many processes: a server's rate limit is for the key, not for whoever uses it.

Whoever holds the budget grants permits in batches; what comes back with the next question is what the server said.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipeline.http.pacing import Clock, LearnedRate, Pacer

# A batch is what one process may start in about this time, so that news reaches everybody as fast.
_BATCH_S = 0.5
_MOST_PERMITS = 10_000
# Push-backs of requests that were already under way belong to the one that came first.
_SAME_PUSH_S = 0.25


@dataclass(frozen=True, slots=True)
class Ask:
    """A question for permits, and what the server said since the last one: when it pushed back, how long to pause.

    Times are relative: the clocks of two machines do not agree.
    """

    wanted: int
    accepted: int = 0
    refused_ago_s: float | None = None
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """Requests that may start: the first in `wait_s`, then one each `every_s`; what is left after `for_s` lapses."""

    permits: int
    wait_s: float
    every_s: float
    for_s: float


AskBudget = Callable[[Ask], Awaitable[Grant]]


class PaceBudget:
    """The pace of one key: what the user allows and what the server was seen to accept, shared by `sharers`."""

    def __init__(self, *, requests_per_minute: float | None, sharers: int, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._most_per_s = requests_per_minute / 60 if requests_per_minute else None
        self._sharers = sharers
        self._rate = LearnedRate()
        self._next_start = 0.0
        self._paused_until = 0.0

    def grant(self, ask: Ask) -> Grant:
        """Permits for one process; each gets a stretch of time of its own."""
        now = self._clock.monotonic()
        self._heed(ask, now)
        start = max(now, self._paused_until)
        rate = self._rate.at(now)
        if self._most_per_s is not None:
            rate = self._most_per_s if rate is None else min(rate, self._most_per_s)
        if rate is None:
            return Grant(_MOST_PERMITS, start - now, 0.0, start - now + _BATCH_S)
        start = max(start, self._next_start)
        permits = max(1, min(ask.wanted, int(rate * _BATCH_S / self._sharers)))
        self._next_start = start + permits / rate
        return Grant(permits, start - now, 1 / rate, self._next_start - now + _BATCH_S)

    def _heed(self, ask: Ask, now: float) -> None:
        for _ in range(ask.accepted):
            self._rate.accepted(now)
        # One that came late may be of a push-back that is known from others.
        if ask.refused_ago_s is not None and self._rate.refused(now - ask.refused_ago_s):
            # Nobody uses what was granted beyond this moment.
            self._next_start = now
        if ask.pause_s:
            self._paused_until = max(self._paused_until, now + ask.pause_s)
            self._rate.hold_until(self._paused_until)


class BudgetPacer(Pacer):
    """Bounds the requests under way of one process, and starts them as a common budget permits."""

    def __init__(self, ask: AskBudget, *, concurrency: int, clock: Clock | None = None) -> None:
        super().__init__(concurrency=concurrency, clock=clock)
        self._ask = ask
        self._turn = asyncio.Lock()
        self._permits = 0
        self._next_permit = 0.0
        self._every_s = 0.0
        self._lapses_at = 0.0
        self._known_until = 0.0
        self._batch = 0
        self._accepted = 0
        self._refused_at: float | None = None
        self._pause_until = 0.0

    def succeeded(self, latency_s: float) -> None:
        """A request was answered well."""
        self._accepted += 1
        super().succeeded(latency_s)

    def pushed_back(self) -> None:
        """The server said that this is too much: permits not used yet are void."""
        super().pushed_back()
        if self._clock.monotonic() >= self._known_until:
            self._refused_at = self._refused_at or self._clock.monotonic()
            self._void()

    def pause(self, seconds: float) -> None:
        """Start no request for that long, here at once and in the other processes when they ask next."""
        super().pause(seconds)
        until = self._clock.monotonic() + seconds
        if until > self._known_until + _SAME_PUSH_S:
            self._pause_until = max(self._pause_until, until)
            self._void()

    async def _wait_for_start(self) -> None:
        while True:
            start, batch = await self._take_permit()
            while (wait_s := start - self._clock.monotonic()) > 0 and batch == self._batch:
                await self._clock.sleep(wait_s)
            # A push-back that came meanwhile has made the permit void.
            if batch == self._batch:
                return

    async def _take_permit(self) -> tuple[float, int]:
        async with self._turn:
            if not self._permits or self._clock.monotonic() > self._lapses_at:
                await self._refill()
            self._permits -= 1
            start = self._next_permit
            self._next_permit += self._every_s
            return start, self._batch

    async def _refill(self) -> None:
        # Who holds permits for later has enough: news must reach everybody soon.
        while (wait_s := self._next_permit - self._every_s - self._clock.monotonic()) > 0 and self._permits == 0:
            await self._clock.sleep(wait_s)
        question = self._question()
        grant = await self._ask(question)
        now = self._clock.monotonic()
        if question.refused_ago_s is not None or question.pause_s:
            # Nothing of ours starts before that: what is refused until then was under way.
            self._known_until = now + max(grant.wait_s, _SAME_PUSH_S)
        self._permits, self._every_s = grant.permits, grant.every_s
        self._next_permit, self._lapses_at = now + grant.wait_s, now + grant.for_s

    def _question(self) -> Ask:
        now = self._clock.monotonic()
        ago_s = None if self._refused_at is None else now - self._refused_at
        ask = Ask(self.window, self._accepted, ago_s, max(0.0, self._pause_until - now))
        self._accepted, self._refused_at, self._pause_until = 0, None, 0.0
        return ask

    def _void(self) -> None:
        """Let go of permits: they were granted without the news."""
        self._permits = 0
        self._batch += 1
        self._next_permit = 0.0
