"""One cheap request to a server, never repeated: how far it comes, and what the answer says of key and clock."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from pipeline.http.connection_faults import Unanswered, explain_failure
from pipeline.http.transport import open_transport
from pipeline.protocol.endpoint import Endpoint

_TIMEOUT_S = 15.0
_LARGEST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer with the start of its body, or why there was none; `seconds` until its head was there."""

    failure: Unanswered | None = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0


async def probe_server(
    endpoint: Endpoint,
    segments: Sequence[str],
    params: Sequence[tuple[str, str]],
    *,
    token: str | None,
    most_bytes: int = _LARGEST_BYTES,
) -> Probe:
    """Ask once, without following anything. Raises ConfigurationError for certificates that cannot be read."""
    transport = open_transport(endpoint)
    headers = {**endpoint.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
    request = httpx.Request("GET", endpoint.url(segments, params), headers=headers)
    started_s = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            response = await transport.handle_async_request(request)
            seconds = time.monotonic() - started_s
            body = await _read_start(response, most_bytes)
    except TimeoutError:
        return Probe(Unanswered("answer", f"no whole answer within {_TIMEOUT_S:g} s"))
    except (httpx.TransportError, httpx.DecodingError, OSError) as error:
        return Probe(explain_failure(error))
    finally:
        await transport.aclose()
    return Probe(None, response.status_code, dict(response.headers), body, seconds)


async def _read_start(response: httpx.Response, most_bytes: int) -> bytes:
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most_bytes:
                break
    finally:
        await response.aclose()
    return body
