"""Large answers under way at once take no more memory together than they may, and ordinary ones never notice."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from pipeline.errors import RequestError
from pipeline.http.body_budget import BodyBudget
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.http.retrying import RetryPolicy
from pipeline.protocol.endpoint import Endpoint
from tests.asking import THREAD_RUNS, decode_list
from tests.fake_clock import FakeClock
from tests.scripted_server import list_body

# In bytes: a body of 400 holds 300 of the 500.
SMALL = {"limit_bytes": 500, "ordinary_bytes": 100, "step_bytes": 50}
BODY = list_body("run_1").encode().ljust(400)


class Slow(httpx.AsyncByteStream):
    """A body that stops before its end until somebody says so; it says itself when it is given up."""

    def __init__(self, go_on: asyncio.Event, ended: asyncio.Event) -> None:
        self.go_on = go_on
        self.ended = ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, 360, 40):
            yield BODY[start : start + 40]
        await self.go_on.wait()
        yield BODY[360:]

    async def aclose(self) -> None:
        self.ended.set()


def client_of(*streams: httpx.AsyncByteStream, bodies: BodyBudget) -> ApiClient:
    """A client of a server that gives these bodies, one to each request in turn."""
    given = iter(streams)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=next(given)))
    policy, clock = RetryPolicy(attempts=3), FakeClock().clock()
    endpoint = Endpoint("https://host.example/v1")
    return ApiClient(endpoint, Pacer(concurrency=2), policy=policy, clock=clock, transport=transport, bodies=bodies)


def test_a_body_that_is_too_much_beside_another_is_asked_for_again_when_that_has_ended() -> None:
    async def run() -> tuple[int, list[object], int]:
        bodies, refused, done = BodyBudget(**SMALL), asyncio.Event(), asyncio.Event()
        done.set()
        first, second, third = Slow(refused, asyncio.Event()), Slow(done, refused), Slow(done, asyncio.Event())
        async with client_of(first, second, third, bodies=bodies) as client:
            answers = await asyncio.gather(*(client.get(THREAD_RUNS, decode=decode_list) for _ in range(2)))
        return client.traffic.retries, [item.id for answer in answers for item in answer.value.data], bodies.held_bytes

    assert asyncio.run(run()) == (1, ["run_1", "run_1"], 0)


def test_where_there_is_never_room_the_error_says_what_helps() -> None:
    async def run() -> None:
        never = asyncio.Event()
        bodies = BodyBudget(**SMALL, held_bytes=400)
        async with client_of(*(Slow(never, asyncio.Event()) for _ in range(3)), bodies=bodies) as client:
            await client.get(THREAD_RUNS, decode=decode_list)

    with pytest.raises(
        RequestError, match=r"large answers under way take more than .* ask with a lower --concurrency$"
    ):
        asyncio.run(run())


def test_an_ordinary_body_holds_nothing() -> None:
    async def run() -> int:
        full = BodyBudget(**{**SMALL, "ordinary_bytes": 400}, held_bytes=500)
        going = asyncio.Event()
        going.set()
        async with client_of(Slow(going, asyncio.Event()), bodies=full) as client:
            await client.get(THREAD_RUNS, decode=decode_list)
        return full.held_bytes

    assert asyncio.run(run()) == 500


def test_a_process_takes_two_of_the_largest_bodies_at_once_and_no_third() -> None:
    budget = BodyBudget()

    held = [budget.grow(0, 512 * 2**20) for _ in range(3)]

    assert held == [504 * 2**20, 504 * 2**20, None]
