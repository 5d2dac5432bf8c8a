"""Visits of responses: one that is made in the background is waited for, as long as was said."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.extract.fetching import ExtractOptions
from pipeline.extract.open_calls import Needs, decode_response, needs_of
from pipeline.extract.plan import ThreadTask
from pipeline.extract.responses import ResponseExtractor
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Clock, Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.pages import Walk


def visit(server: RunningEmulator, response_id: str, *, wait_s: float, ends_after: int) -> tuple[str, list[float]]:
    """The status that landed, and each pause; the response ends after so many of them."""
    slept: list[float] = []
    walks: list[Walk] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == ends_after:
            server.emulation.advance()

    async def keep(walk: Walk) -> None:
        walks.append(walk)

    async def run() -> None:
        endpoint = Endpoint(server.base_url, headers={"Authorization": f"Bearer {server.api_key}"})
        client = ApiClient(endpoint, Pacer(concurrency=1), clock=replace(Clock(), sleep=sleep))
        options = ExtractOptions(protocol="responses", wait_s=wait_s, concurrency=1)
        async with client:
            await ResponseExtractor(client, keep=keep, options=options).run([ThreadTask(response_id)])

    asyncio.run(run())
    (page,) = walks[0].pages
    return str(decode_response(page.body).status), slept


@pytest.mark.parametrize(
    ("wait_s", "ends_after", "status", "slept"),
    [
        (0.0, 1, "queued", []),
        (60.0, 2, "completed", [2.0, 4.0]),
        (5.0, 9, "queued", [2.0, 3.0]),
        (70.0, 9, "queued", [2.0, 4.0, 8.0, 16.0, 30.0, 10.0]),
    ],
)
def test_a_response_that_is_being_made_is_waited_for(
    wait_s: float, ends_after: int, status: str, slept: list[float]
) -> None:
    with running_emulator(threads=1) as server:
        response_id = next(
            history.after["id"]
            for history in server.emulation.successors.histories
            if history.before and history.before["status"] == "queued"
        )
        assert visit(server, response_id, wait_s=wait_s, ends_after=ends_after) == (status, slept)


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1"}
OUTPUT = {"type": "function_call_output", "id": "fco_1", "call_id": "call_1"}


@pytest.mark.parametrize(
    ("output", "needs"),
    [
        ([CALL], Needs(frozenset({"call_1"}))),
        ([OUTPUT, CALL], Needs()),
        ([{**CALL, "call_id": None}], Needs()),
        ([{"type": "custom_tool_call", "call_id": "call_2"}, CALL, OUTPUT], Needs(frozenset({"call_2"}))),
        ([{"type": "bing_grounding_call", "call_id": "call_3"}], Needs()),
        ([{"type": "local_shell_call", "call_id": "sh_1"}, {"type": "local_shell_call_output", "id": "sh_1"}], Needs()),
        ([{"type": "file_search_call", "results": None}], Needs(contents=True)),
        ([{"type": "file_search_call", "results": []}, {"type": "code_interpreter_call"}], Needs()),
        ([{"type": "code_interpreter_call", "outputs": None}], Needs(contents=True)),
        (None, Needs()),
        ([None, "text", {}], Needs()),
    ],
)
def test_what_a_response_leaves_open_is_what_somebody_else_says(output: Any, needs: Needs) -> None:

    body = msgspec.json.encode({"id": "resp_1", "object": "response", "output": output})
    assert needs_of(decode_response(body)) == needs


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b'{"object":"response"}', b'{"id":"r","object":"list","data":[]}', b'{"id":"","object":"response"}'],
)
def test_what_is_no_response_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no response|not a response"):
        decode_response(body)
