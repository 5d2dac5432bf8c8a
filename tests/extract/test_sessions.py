"""Visits of sessions: what their turns did is asked for many turns at a time, and lands in the order of the turns."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from pipeline.errors import RefusedError
from pipeline.extract.fetching import ExtractOptions
from pipeline.extract.plan import ThreadTask
from pipeline.extract.sessions import SessionExtractor
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.pages import Walk
from tests.answered import called, listed, session, turn
from tests.asking import asked_url
from tests.fake_clock import FakeClock

TURNS = [f"turn_{number}" for number in range(40)]
MADE: dict[str, Any] = {"agent": {"multi_agent": {"enabled": False}}}


def visit(clock: FakeClock, items: httpx.Response | None) -> list[Walk]:
    """The walk of a session whose lists of items are answered so, or with a call each."""
    walks: list[Walk] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = asked_url(request).path
        if path.endswith("/turns"):
            return httpx.Response(200, json=listed(*(turn(turn_id) for turn_id in TURNS)))
        if path.endswith("/items"):
            if items is not None:
                return httpx.Response(items.status_code, content=items.content)
            return httpx.Response(200, json=listed(called(id=path.split("/")[-2])))
        return httpx.Response(200, json=session(**MADE))

    async def keep(walk: Walk) -> None:
        walks.append(walk)

    async def run() -> None:
        client = ApiClient(
            Endpoint("https://api.example/v1"),
            Pacer(concurrency=16, clock=clock.clock()),
            clock=clock.clock(),
            transport=httpx.MockTransport(answer),
        )
        options = ExtractOptions(protocol="agents", concurrency=16)
        async with client:
            await SessionExtractor(client, keep=keep, options=options).run([ThreadTask("sess_a")])

    asyncio.run(run())
    return walks


def test_items_land_in_the_order_of_their_turns() -> None:
    [walk] = visit(FakeClock(), None)

    assert walk.certificate.verdict == "complete"
    assert [page.page_index for page in walk.pages] == list(range(2 + len(TURNS)))
    assert [json.loads(page.body)["data"][0]["id"] for page in walk.pages[2:]] == TURNS


@pytest.mark.parametrize(
    ("answer", "round_s"),
    [
        (httpx.Response(200, json={"error": {"message": "no luck"}}), 0.5 + 1),
        (httpx.Response(500), 0.5 + 1 + 2 + 4 + 8),
        (httpx.Response(504), 0.5 + 1 + 2 + 4 + 8),
    ],
    ids=["error in 200", "500", "504"],
)
def test_lists_that_cannot_be_had_are_asked_for_again_together(answer: httpx.Response, round_s: float) -> None:
    clock = FakeClock()

    [walk] = visit(clock, answer)

    assert walk.certificate.verdict == "failed"
    # Of 40 lists 16 at a time.
    assert clock.time_s == 3 * round_s


def test_a_refusal_while_many_are_asked_for_ends_all_of_them() -> None:
    with pytest.raises(RefusedError, match="refuses us"):
        visit(FakeClock(), httpx.Response(401))
