"""Requests over libcurl: whole or a fault, asked once, given up cleanly, and none takes more memory than it may."""

import asyncio
import gc
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pycurl
import pytest

from pipeline.errors import RequestError
from pipeline.http.client import ApiClient
from pipeline.http.connection_faults import explain_failure
from pipeline.http.event_loop import run_in_loop
from pipeline.http.libcurl import MOST_HELD_BYTES, Exchange, NoAnswerError
from pipeline.http.pacing import Pacer
from pipeline.http.retrying import RetryPolicy
from pipeline.http.transport import TargetRequest, open_transport
from pipeline.protocol.endpoint import Endpoint
from tests.fake_clock import FakeClock

KEY = "marker-key"
LIST = b'{"object":"list","data":[],"has_more":false}'
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Leaves every connection to `serve`, notes them, and the heads that `read_request` finds."""

    serve: Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    heads: list[bytes] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    connections: int = 0
    base_url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()
            await self.wait_until_left()

    async def wait_until_left(self) -> None:
        """Until the other side has closed every connection."""
        await wait_until(lambda: not self.open)

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        return self.heads[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            await self.serve(self, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.open.discard(writer)


async def wait_until(holds: Callable[[], bool]) -> None:
    """Turns of the loop until it holds, for a minute at most."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def answering(*answers: bytes, kept: bool = False) -> Server:
    """Gives each answer in turn, the last for ever; connections end after each unless they are `kept`."""

    async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.read_request(reader)
            writer.write(answers[min(len(server.heads), len(answers)) - 1])
            await writer.drain()
            if not kept:
                return

    return Server(serve)


def request_of(server: Server, target: str = "/v1/threads", **headers: str) -> httpx.Request:
    return TargetRequest(httpx.Request("GET", server.base_url, headers=headers), target)


@asynccontextmanager
async def transport_to(server: Server) -> AsyncIterator[httpx.AsyncBaseTransport]:
    transport = open_transport(Endpoint(server.base_url))
    try:
        yield transport
    finally:
        await transport.aclose()


async def fetch(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    response = await transport.handle_async_request(request)
    await response.aread()
    return response


def ask_once(server: Server, **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        async with server.running(), transport_to(server) as transport:
            return await fetch(transport, request_of(server, **headers))

    return asyncio.run(run())


def say_why(server: Server, **headers: str) -> str:
    with pytest.raises(NoAnswerError) as raised:
        ask_once(server, **headers)
    return explain_failure(raised.value).reason


# --- whole, or a fault ------------------------------------------------------------------------------------------------


BROKEN = {
    "a body shorter than announced": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + LIST,
    "chunks without their end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
    "a chunk that breaks off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n[]",
    "a head that breaks off in a line": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head that breaks off between lines": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n",
    "a head that breaks off after an announcement": b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_breaks_off_is_a_fault_and_never_a_short_answer(name: str) -> None:
    assert say_why(answering(BROKEN[name])).startswith("no answer (it broke off")


def test_a_large_answer_that_breaks_off_after_its_start_was_read_is_a_fault_too() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
    assert say_why(answering(head + bytes(9_000_000))) == "no answer (it broke off)"


@pytest.mark.parametrize(
    "answer", [b"<html>hello</html>\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200\r\nno\r\n\r\n"]
)
def test_what_is_no_http_is_named_so(answer: bytes) -> None:
    assert say_why(answering(answer)) == "no answer (what came is no HTTP)"


def test_a_connection_that_is_reset_is_named_so() -> None:
    async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert say_why(Server(serve)) == "no answer (Connection reset by peer)"


def test_only_the_last_head_counts_and_trailers_are_none() -> None:
    response = ask_once(
        answering(
            b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
            b"HTTP/1.1 404 Not Found\r\nX-Own:  \xe4 \r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n[]\r\n0\r\nX-Late: 1\r\n\r\n"
        )
    )

    assert (response.status_code, response.content, response.headers["x-own"]) == (404, b"[]", "ä")
    assert "x-early" not in response.headers
    assert "x-late" not in response.headers


@pytest.mark.parametrize("line", [b"HTTP/x: y", b"HTTP/1.1 500: y"])
def test_headers_and_trailers_that_look_like_the_start_of_a_head_are_none(line: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + line + b"\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    response = ask_once(answering(head + b"2\r\n[]\r\n0\r\nX-Late: 1\r\n" + line + b"\r\n\r\n"))

    assert (response.status_code, response.content, response.headers["x-own"]) == (200, b"[]", "1")


def test_a_large_answer_whose_head_cannot_be_read_leaves_no_connection() -> None:
    async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1\t200 OK\r\n\r\n" + bytes(2 * MOST_HELD_BYTES))
        await reader.read()

    async def run() -> None:
        server = Server(serve)
        async with server.running(), transport_to(server) as transport:
            with pytest.raises(NoAnswerError, match="what came is no HTTP"):
                await fetch(transport, request_of(server))
            await server.wait_until_left()

    asyncio.run(run())


def test_a_body_much_larger_than_what_is_held_back_arrives_whole() -> None:
    body = bytes(range(256)) * (10 * MOST_HELD_BYTES // 256)
    response = ask_once(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))

    assert response.content == body


# --- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [f"{KEY}\r\nX-Added: 1", f"{KEY}\nX-Added: 1", f"{KEY}\0"])
def test_a_header_with_a_line_break_is_refused_before_anything_is_sent(value: str) -> None:
    server = answering(KEPT)

    said = say_why(server, Authorization=value)

    assert (server.connections, KEY in said) == (0, False)
    assert said == "not asked: no header can be written like this (Authorization)"


def test_a_name_of_a_header_with_a_line_break_is_refused_too() -> None:
    server = answering(KEPT)

    assert say_why(server, **{"X-A: 1\r\nX-Added": "1"}) == "not asked: no header can be written like this (one)"
    assert server.connections == 0


def test_headers_and_path_are_sent_as_they_are_and_no_others() -> None:
    async def run() -> bytes:
        server = answering(KEPT)
        async with server.running(), transport_to(server) as transport:
            request = request_of(
                server, "/v1/a/../%2E%2E/./b?c=%5B&d", Accept="x", Authorization=f"Bearer {KEY}", Empty=""
            )
            await fetch(transport, request)
        return server.heads[0]

    lines = asyncio.run(run()).split(b"\r\n")

    assert lines[0] == b"GET /v1/a/../%2E%2E/./b?c=%5B&d HTTP/1.1"
    assert {line.partition(b":")[0] for line in lines[1:] if line} == {b"Host", b"Accept", b"Authorization", b"Empty"}
    assert f"Authorization: Bearer {KEY}".encode() in lines


def test_requests_with_other_headers_have_none_of_those_before_them() -> None:
    async def run() -> list[bytes]:
        server = answering(KEPT, kept=True)
        async with server.running(), transport_to(server) as transport:
            await fetch(transport, request_of(server, Authorization="Bearer first"))
            await fetch(transport, request_of(server, Other="1"))
        return server.heads

    first, second = asyncio.run(run())

    assert b"Bearer first" in first
    assert b"Authorization" not in second


@pytest.mark.parametrize("set_cookie", ["a=1", "a=1; Path=/"])
def test_cookies_are_not_kept(set_cookie: str) -> None:
    async def run() -> bytes:
        server = answering(KEPT.replace(b"\r\n\r\n", f"\r\nSet-Cookie: {set_cookie}\r\n\r\n".encode()), kept=True)
        async with server.running(), transport_to(server) as transport:
            for _ in range(2):
                await fetch(transport, request_of(server))
        return server.heads[1]

    assert b"ookie" not in asyncio.run(run())


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_kept_connection_that_ends_without_an_answer_is_asked_again_by_the_client_alone_and_counted() -> None:
    async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(await server.read_request(reader)) and len(server.heads) != 2:
            writer.write(KEPT)

    async def run() -> tuple[int, int, list[float]]:
        server, time = Server(serve), FakeClock()
        async with server.running():
            async with ApiClient(Endpoint(server.base_url), Pacer(concurrency=1), clock=time.clock()) as client:
                for _ in range(2):
                    await client.get(("threads",), decode=lambda body: body)
            return client.traffic.requests, len(server.heads), time.slept

    assert asyncio.run(run()) == (3, 3, [0.5])


def test_a_kept_connection_that_always_ends_is_given_up_after_as_many_requests_as_are_counted() -> None:
    async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(KEPT)
        await server.read_request(reader)

    async def run() -> tuple[int, int]:
        server = Server(serve)
        policy = RetryPolicy(attempts=1)
        async with server.running():
            endpoint = Endpoint(server.base_url)
            async with ApiClient(endpoint, Pacer(concurrency=4), policy, FakeClock().clock()) as client:
                await asyncio.gather(*(client.get(("threads",), decode=len) for _ in range(4)))
                with pytest.raises(RequestError, match=r"no answer \(the server ended the connection\)"):
                    await client.get(("threads",), decode=len)
            return client.traffic.requests, len(server.heads)

    assert asyncio.run(run()) == (5, 5)


def test_hundreds_of_requests_at_once_each_have_their_own_answer_over_connections_that_are_kept() -> None:
    async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            target = (await server.read_request(reader)).split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target) + target)

    async def run() -> tuple[list[str], int]:
        server = Server(serve)
        async with server.running(), transport_to(server) as transport:

            async def walk(number: int) -> list[str]:
                targets = [f"/v1/{number}/{page}" for page in range(8)]
                return [(await fetch(transport, request_of(server, target))).text for target in targets]

            texts = await asyncio.gather(*(walk(number) for number in range(300)))
        return [text for each in texts for text in each], server.connections

    texts, connections = asyncio.run(run())

    assert texts == [f"/v1/{number}/{page}" for number in range(300) for page in range(8)]
    # One for each of those that ask, but for a few where one of them is slow to let go of its own.
    assert connections < 2 * 300


def test_a_client_that_is_entered_again_opens_connections_of_its_own() -> None:
    async def run() -> int:
        server = answering(KEPT, kept=True)
        async with server.running():
            client = ApiClient(Endpoint(server.base_url), Pacer(concurrency=1))
            for _ in range(2):
                async with client:
                    await client.get(("threads",), decode=len)
        return server.connections

    assert asyncio.run(run()) == 2


def test_an_error_of_all_that_is_under_way_ends_the_request_with_a_fault() -> None:
    """As AsyncCurlMulti hands it on: without a code of libcurl's."""

    class Broken:
        def add_handle(self, curl: object) -> asyncio.Future[object]:
            ended = asyncio.get_running_loop().create_future()
            ended.set_exception(pycurl.error("it is in a bad state"))
            return ended

    async def run() -> None:
        exchange = Exchange(Broken(), pycurl.Curl(), proxy="", release=lambda: None)
        async with asyncio.timeout(10):
            await exchange.read_head()

    with pytest.raises(NoAnswerError, match=r"no answer \(error in libcurl\)"):
        asyncio.run(run())


def test_the_product_runs_in_a_loop_that_can_watch_sockets_on_every_system() -> None:
    async def watch() -> bool:
        here, there = socket.socketpair()
        with here, there:
            asyncio.get_running_loop().add_reader(here, lambda: None)
            return asyncio.get_running_loop().remove_reader(here)

    assert run_in_loop(watch())


# --- given up ---------------------------------------------------------------------------------------------------------


async def keep_silent(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    await reader.read()


async def never_end(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(2**16))
        await writer.drain()


def test_a_request_that_is_cancelled_closes_its_connection_and_the_next_is_well() -> None:
    async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"silent" not in await server.read_request(reader):
            writer.write(KEPT)
        await reader.read()

    async def run() -> None:
        server = Server(serve)
        async with server.running(), transport_to(server) as transport:
            for _ in range(20):
                server.heads.clear()
                silent = request_of(server, "/v1/silent")
                waiting = [asyncio.create_task(fetch(transport, silent)) for _ in range(10)]
                await wait_until(lambda: len(server.heads) == 10)
                for task in waiting:
                    task.cancel()
                ended = await asyncio.gather(*waiting, return_exceptions=True)
                assert all(isinstance(each, asyncio.CancelledError) for each in ended)
                await server.wait_until_left()
                assert (await fetch(transport, request_of(server))).content == b"[]"

    asyncio.run(run())


@pytest.mark.parametrize("serve", [keep_silent, never_end])
def test_closing_ends_requests_under_way_with_an_error_and_leaves_no_connection(serve: Serve) -> None:
    async def run() -> None:
        server = Server(serve)  # type: ignore[arg-type]
        async with server.running():
            async with transport_to(server) as transport:
                waiting = [asyncio.create_task(fetch(transport, request_of(server))) for _ in range(10)]
                await wait_until(lambda: len(server.heads) == 10)
            ended = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(each, NoAnswerError) for each in ended), ended
            await server.wait_until_left()
        gc.collect()

    asyncio.run(run())


def test_a_body_without_end_waits_for_whoever_reads_it_and_ends_with_them() -> None:
    async def run() -> int:
        server = Server(never_end)
        async with server.running(), transport_to(server) as transport:
            await fetch_some(transport, request_of(server), 0)
            await server.wait_until_left()
            tracemalloc.start()
            await fetch_some(transport, request_of(server), 2**27)
            peak_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            await server.wait_until_left()
        return peak_bytes

    assert asyncio.run(run()) < 8 * MOST_HELD_BYTES


async def fetch_some(transport: httpx.AsyncBaseTransport, request: httpx.Request, size_bytes: int) -> None:
    """Read the start of a body chunk by chunk, and pause on the way."""
    response = await transport.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    read_bytes = 0
    async for chunk in response.stream:
        read_bytes += len(chunk)
        if read_bytes % 2**24 < len(chunk):
            await asyncio.sleep(0.01)
        if read_bytes >= size_bytes:
            break
    await response.stream.aclose()


def test_the_client_gives_up_a_body_without_end_once_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.http.client.LARGEST_BODY_BYTES", 2**24)

    async def run() -> None:
        server = Server(never_end)
        async with server.running(), ApiClient(Endpoint(server.base_url), Pacer(concurrency=1)) as client:
            with pytest.raises(RequestError, match="the answer is larger than"):
                await client.get(("threads",), decode=len)
            await server.wait_until_left()

    asyncio.run(run())
