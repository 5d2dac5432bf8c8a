"""A server that has one answer for each path, and whole syncs of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx

from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.extract.protocols import list_threads
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.pages import Protocol
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from tests.asking import asked_url
from tests.fake_clock import FakeClock

Json = dict[str, Any]
# A text is sent as it is.
Paths = dict[str, Any]


def client_of(paths: Paths, *, odd_fields: Sequence[str] = (), seen: list[str] | None = None) -> ApiClient:
    """A client of a server that has these answers by path, lists of responses by their conversation; it notes what was
    asked in `seen`.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        url = asked_url(request)
        if seen is not None:
            seen.append(str(url))
        path = url.path.removeprefix("/v1")
        asked = {name: values[0] for name, values in parse_qs(url.query.decode()).items()}
        named = asked.get("conversation_id")
        found = paths.get(f"{path}?{named}" if named else path)
        if found is None:
            return httpx.Response(404, json={"error": {}})
        if isinstance(found, str):
            return httpx.Response(200, text=found)
        if "after" in asked:
            ids = [item["id"] for item in found["data"]]
            found = found | {"data": found["data"][ids.index(asked["after"]) + 1 :]}
        return httpx.Response(200, json=found)

    time = FakeClock()
    endpoint = Endpoint("https://one.example/v1", odd_fields=frozenset(odd_fields))
    pacer = Pacer(concurrency=2, clock=time.clock())
    return ApiClient(endpoint, pacer, clock=time.clock(), transport=httpx.MockTransport(answer))


def sync_all(
    folder: Path,
    paths: Paths,
    protocol: Protocol,
    *thread_ids: str,
    odd_fields: Sequence[str] = (),
    full: bool = False,
    asked: list[str] | None = None,
) -> tuple[SyncResult, list[str]]:
    """How a sync of these threads, or of all that are listed, ended, and what it says went wrong or may have."""
    progress = Progress()
    # Turns may change for some time after their end; here they do not.
    settle_s = 0.0 if protocol == "agents" else 86_400.0

    async def sync() -> SyncResult:
        async with client_of(paths, odd_fields=odd_fields, seen=asked) as client:
            extract = ExtractOptions(protocol=protocol, settle_s=settle_s)
            seen = {} if thread_ids else await list_threads(client, protocol)
            options = SyncOptions(
                source="main",
                data_dir=folder,
                thread_ids=thread_ids or list(seen),
                full=full,
                odd_fields=odd_fields,
                seen=seen,
                extract=extract,
            )
            return await run_sync(client, options, progress=progress)

    return asyncio.run(sync()), [*progress.failures, *progress.hints]
