"""One request of the real client over real HTTP to a scripted server, and what came of it on both sides."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import httpx

from pipeline.errors import PipelineError
from pipeline.http.client import Answer, ApiClient
from pipeline.http.pacing import Pacer
from pipeline.http.retrying import RetryPolicy
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.json_text import decode_with
from pipeline.protocol.wire import ListHead
from tests.fake_clock import FakeClock
from tests.scripted_server import ScriptedServer, Seen

THREAD_RUNS = ("threads", "thread_1", "runs")
decode_list = decode_with(ListHead, "a list of the protocol")


def asked_url(request: httpx.Request) -> httpx.URL:
    """What a request of the client asks for: all that follows the host is in its extension `target`."""
    return request.url.copy_with(raw_path=request.extensions["target"])


@dataclass(frozen=True)
class Outcome:
    """The list or the error, and the requests that the server saw."""

    answer: Answer[ListHead] | None
    error: PipelineError | None
    seen: list[Seen]
    retries: int

    @property
    def ids(self) -> list[object] | None:
        """Ids of the list."""
        return None if self.answer is None else [item.id for item in self.answer.value.data]

    @property
    def spacing_s(self) -> list[float]:
        """Seconds between the requests as the server saw them."""
        return [later.at_s - earlier.at_s for earlier, later in pairwise(self.seen)]

    @property
    def message(self) -> str:
        """What a person reads."""
        return str(self.error)


def ask(
    *script: bytes,
    policy: RetryPolicy | None = None,
    chance: float = 0.0,
    headers: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    timeout_s: float = 20.0,
    segments: Sequence[str] = THREAD_RUNS,
    params: Sequence[tuple[str, str]] = (),
) -> Outcome:
    """Ask for one list."""

    async def run() -> Outcome:
        time = FakeClock(chance=chance)
        async with ScriptedServer(script, time) as server:
            endpoint = Endpoint(
                server.base_url, dict(headers or {}), secrets=secrets, keys=secrets, timeout_s=timeout_s
            )
            pacer = Pacer(concurrency=4, clock=time.clock())
            async with ApiClient(endpoint, pacer, policy=policy or RetryPolicy(), clock=time.clock()) as client:
                answer, error = None, None
                try:
                    answer = await client.get(segments, params, decode=decode_list)
                except PipelineError as raised:
                    error = raised
                return Outcome(answer, error, server.seen, client.traffic.retries)

    return asyncio.run(run())
