"""Puts answers on the wire, also those that break off, crawl or lie about their length."""

import asyncio
from typing import Final

from aiohttp import web

from pipeline.emulator.exchange import Answer

_SLOW_CHUNKS_PER_S: Final = 20


async def send_answer(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send the answer as its delivery fields demand."""
    if answer.latency_s:
        await asyncio.sleep(answer.latency_s)
    if answer.cut_after_bytes is not None or answer.declared_length is not None:
        return await _send_broken(request, answer)
    if answer.bytes_per_s is not None:
        return await _send_slowly(request, answer, answer.bytes_per_s)
    headers = answer.headers | {"Content-Type": answer.content_type}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


async def _send_slowly(request: web.Request, answer: Answer, bytes_per_s: float) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = answer.content_type
    response.content_length = len(answer.body)
    await response.prepare(request)
    chunk_bytes = max(1, int(bytes_per_s / _SLOW_CHUNKS_PER_S))
    for start in range(0, len(answer.body), chunk_bytes):
        chunk = answer.body[start : start + chunk_bytes]
        await response.write(chunk)
        await asyncio.sleep(len(chunk) / bytes_per_s)
    await response.write_eof()
    return response


async def _send_broken(request: web.Request, answer: Answer) -> web.StreamResponse:
    # aiohttp refuses to send a wrong length, so that these bytes go past it.
    transport = request.transport
    if transport is not None:
        body = answer.body if answer.cut_after_bytes is None else answer.body[: answer.cut_after_bytes]
        if answer.cut_after_bytes != 0:
            transport.write(_write_head(answer) + body)
            # The bytes must have left before the connection goes; a reset would throw them away.
            transport.close()
        else:
            transport.abort()
    return web.Response(status=answer.status)


def _write_head(answer: Answer) -> bytes:
    length = len(answer.body) if answer.declared_length is None else answer.declared_length
    headers = answer.headers | {
        "Content-Type": answer.content_type,
        "Content-Length": str(length),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {answer.status} {web.Response(status=answer.status).reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
