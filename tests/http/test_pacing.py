"""The pacer learns what a server accepts, in time that only passes while everybody sleeps."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from pipeline.http.client import ApiClient
from pipeline.http.pacing import OwnMoment, Pacer, Stamps
from pipeline.http.retrying import RetryPolicy
from pipeline.protocol.endpoint import Endpoint
from tests.fake_clock import FakeClock


@dataclass
class LimitedServer:
    """A bucket of `burst` requests that fills with `rate` a second; empty, it answers 429 with retry-after: 1."""

    time: FakeClock
    rate: float
    burst: float
    latency_s: float = 0.005
    saved: float = field(init=False)
    seen_at_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.saved = self.burst

    async def answer(self, _: httpx.Request) -> httpx.Response:
        await self.time.clock().sleep(self.latency_s)
        now_s = self.time.time_s
        self.saved = min(self.burst, self.saved + (now_s - self.seen_at_s) * self.rate)
        self.seen_at_s = now_s
        status = 200 if self.saved >= 1 else 429
        self.saved -= status == 200
        self.statuses[status] += 1
        return httpx.Response(status, headers={} if status == 200 else {"retry-after": "1"}, content=b"{}")


def ask_all(server: LimitedServer, pacer: Pacer, *, requests: int) -> None:
    """That many requests by 32 tasks through one client."""
    client = ApiClient(
        Endpoint("http://127.0.0.1/v1"),
        pacer,
        clock=server.time.clock(),
        transport=httpx.MockTransport(server.answer),
        policy=RetryPolicy(attempts=20),
    )
    left = iter(range(requests))

    async def work() -> None:
        for _ in left:
            await client.get(("x",), decode=lambda body: body)

    async def run() -> None:
        async with client:
            await asyncio.gather(*(work() for _ in range(32)))

    asyncio.run(run())


def test_nine_tenths_of_an_unknown_rate_limit_are_used_and_hardly_anything_is_refused() -> None:
    time = FakeClock(chance=0.5)
    server = LimitedServer(time, rate=40.0, burst=8.0)

    ask_all(server, Pacer(concurrency=32, clock=time.clock()), requests=2500)

    assert server.statuses[200] / (server.burst + server.rate * time.time_s) >= 0.9
    assert server.statuses[429] / server.statuses.total() < 0.02


def test_a_server_that_never_pushes_back_is_asked_as_fast_as_the_bound_allows() -> None:
    time = FakeClock()
    server = LimitedServer(time, rate=1e9, burst=1e9, latency_s=0.1)
    pacer = Pacer(concurrency=32, clock=time.clock())

    ask_all(server, pacer, requests=640)

    assert pacer.window == 32
    assert server.statuses == {200: 640}
    # 20 rounds of 32 would take 2 s; the window starts at 8.
    assert time.time_s == pytest.approx(2.3, abs=0.2)


def grow(pacer: Pacer, latencies_s: list[float]) -> None:
    for latency_s in latencies_s:
        pacer.succeeded(latency_s)


@pytest.mark.parametrize(
    ("teach", "window"),
    [
        (lambda pacer: None, 8),
        (lambda pacer: grow(pacer, [0.1] * 5), 13),
        (lambda pacer: grow(pacer, [0.1] * 200), 100),
        (lambda pacer: grow(pacer, [0.1] * 20 + [9.0] * 20), 28),
        (lambda pacer: pacer.pushed_back(), 4),
        (lambda pacer: [pacer.pushed_back() for _ in range(9)], 4),
    ],
    ids=["at first", "flat", "bounded", "latency rose", "pushed back", "one push seen by many requests"],
)
def test_the_window_grows_while_latency_is_flat_and_halves_when_pushed_back(
    teach: Callable[[Pacer], object], window: int
) -> None:
    pacer = Pacer(concurrency=100, clock=FakeClock().clock())

    teach(pacer)

    assert pacer.window == window


def test_pacers_that_share_a_moment_keep_each_others_pauses() -> None:
    time, moment = FakeClock(), OwnMoment()
    first, second = (Pacer(concurrency=1, clock=time.clock(), paused_until=moment) for _ in range(2))
    first.pause(7.0)

    async def start() -> float:
        async with second.slot():
            return time.time_s

    assert asyncio.run(start()) == 7.0


def test_stamps_go_on_where_the_last_record_was_while_the_clock_is_behind_it() -> None:
    stamps, noon = Stamps(), datetime(2026, 11, 20, 12, tzinfo=UTC)
    stamps.start_after(noon)
    stamps.start_after(noon - timedelta(days=1))

    times = [stamps.next(noon - timedelta(hours=1)), stamps.next(noon - timedelta(hours=1)), stamps.next(noon)]
    later = stamps.next(noon + timedelta(hours=1))

    assert times == [noon + timedelta(microseconds=count) for count in (1, 2, 3)]
    assert later == noon + timedelta(hours=1)
