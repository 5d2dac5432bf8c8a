"""Answers of HTTP that nobody would send, and that somebody has: it heals, or the thread is named and why."""

import asyncio
import gzip
import json
import zlib
from dataclasses import dataclass

import pytest

from pipeline.errors import PipelineError
from pipeline.extract.fetching import Extractor, Progress
from pipeline.extract.plan import ThreadTask
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.pages import Walk
from tests.answered import listed
from tests.archived import run_object, step_object
from tests.fake_clock import FakeClock
from tests.scripted_server import CUT, ScriptedServer, reply

RUNS_LIST, STEPS_LIST = listed(run_object(total=10)), listed(step_object("step_1"))
RUNS, STEPS = json.dumps(RUNS_LIST).encode(), json.dumps(STEPS_LIST).encode()
GOOD = (reply(body=RUNS), reply(body=STEPS))
# The longest that a list is waited for in all: five times what a server may ask for.
LONGEST_S = 5 * 120.0
MOST_REQUESTS = 6


@dataclass(frozen=True)
class Ended:
    """How a visit of thread_1 ended: its walks, or why there was none."""

    walks: list[Walk]
    said: str
    waited_s: float
    requests: int


def visit(*script: bytes) -> Ended:
    """Visit thread_1 over a real connection to a server that answers so, the last answer being that to all that follow.

    Raises what is no error of ours to tell.
    """
    time, progress = FakeClock(), Progress()
    walks: list[Walk] = []
    errors: list[PipelineError] = []

    async def keep(walk: Walk) -> None:
        walks.append(walk)

    async def run() -> int:
        async with ScriptedServer(script, time) as server:
            pacer = Pacer(concurrency=2, clock=time.clock())
            async with ApiClient(Endpoint(server.base_url, timeout_s=20.0), pacer, clock=time.clock()) as client:
                try:
                    await Extractor(client, keep=keep, progress=progress).run([ThreadTask("thread_1")])
                except PipelineError as error:
                    errors.append(error)
                return len(server.seen)

    requests = asyncio.run(run())
    said = "\n".join([*progress.failures, *map(str, errors)])
    return Ended(walks, said, sum(time.slept), requests)


def assert_named(ended: Ended) -> None:
    """Nothing is taken for whole, which is said of the thread in a sentence and in bounded time."""
    assert [walk.certificate.verdict for walk in ended.walks] in ([], ["failed"], ["missing"], ["broken"])
    assert "thread_1" in ended.said
    assert "Traceback" not in ended.said
    assert ended.waited_s <= LONGEST_S
    assert ended.requests <= MOST_REQUESTS


def assert_exact(ended: Ended) -> None:
    """Everything is there, and nothing is said."""
    assert ended.said == ""
    assert [walk.certificate.verdict for walk in ended.walks] == ["complete", "complete"]
    assert [json.loads(page.body) for walk in ended.walks for page in walk.pages] == [RUNS_LIST, STEPS_LIST]
    assert ended.waited_s <= LONGEST_S


# --- statuses ---------------------------------------------------------------------------------------------------------

# Whatever stands in the body: a list of runs, too, is none under another status than 200.
STATUSES = (
    *(201, 202, 203, 204, 205, 206, 207, 208, 226),
    *(300, 304, 305, 306, 399),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423),
    *(424, 425, 426, 428, 429, 431, 444, 449, 451, 460, 463, 494, 498, 499),
    *(500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511),
    *(520, 521, 522, 523, 524, 525, 526, 527, 529, 530, 540, 561, 598, 599, 600, 700, 999),
)
HEALED = (408, 409, 429, 500, 502, 503, 504, 529)
BODILESS = (204, 205, 304)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_other_than_200_is_named_or_missing(status: int) -> None:
    ended = visit(reply(status, b"" if status in BODILESS else RUNS))

    assert_named(ended)
    assert f"HTTP {status}" in ended.said or status == 404


@pytest.mark.parametrize("status", HEALED)
def test_a_status_that_heals_is_asked_again(status: int) -> None:
    assert_exact(visit(reply(status), reply(status), *GOOD))


LOCATIONS = {
    "another host": "https://elsewhere.example/v1/threads/thread_1/runs",
    "itself": "/v1/threads/thread_1/runs",
    "relative": "../runs?limit=1",
    "without a scheme": "//elsewhere.example/",
    "plain http": "http://elsewhere.example/",
    "a file": "file:///etc/passwd",
    "no URL": "http://[::1",
    "empty": "",
    "a script": "javascript:alert(1)",
    "signs that no URL has": "http://elsewhere.example/\x7f\xe9",
}


@pytest.mark.parametrize(
    ("status", "to"), [*((302, to) for to in LOCATIONS), *((status, "another host") for status in (301, 303, 307, 308))]
)
def test_no_redirect_is_followed(status: int, to: str) -> None:
    ended = visit(reply(status, headers={"Location": LOCATIONS[to]}), *GOOD)

    assert_named(ended)
    assert f"HTTP {status}" in ended.said
    assert ended.requests == 1


@pytest.mark.parametrize("before", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_what_comes_before_an_answer_is_none(before: str) -> None:
    early = f"HTTP/1.1 {before}\r\nLink: </x>\r\n\r\n".encode()

    assert_exact(visit(*(early + answer for answer in GOOD)))


# --- bodies and the headers that speak of them ------------------------------------------------------------------------


def raw(*lines: str, body: bytes = b"") -> bytes:
    """An answer line by line, which closes the connection."""
    return "\r\n".join(["HTTP/1.1 200 OK", "Connection: close", *lines, "", ""]).encode("latin-1") + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
    return raw("Transfer-Encoding: chunked", body=body)


PACKED = gzip.compress(RUNS, mtime=0)
HTML = "<!DOCTYPE html><title>Sign in</title>"
BROKEN = {
    "nothing at all": CUT,
    "an empty body": reply(),
    "an empty body without a length": raw(),
    "spaces": reply(body=b" \n"),
    "HTML": reply(body=HTML, headers={"Content-Type": "text/html"}),
    "HTML said to be JSON": reply(body=HTML, headers={"Content-Type": "application/json"}),
    "a text": reply(body="upstream connect error"),
    "null": reply(body="null"),
    "a number": reply(body="7"),
    "a list in a list": reply(body=b"[" + RUNS + b"]"),
    "half of it": reply(body=RUNS[: len(RUNS) // 2]),
    "two of them": reply(body=RUNS + RUNS),
    "JSON and more": reply(body=RUNS + b"<!-- served by x -->"),
    "UTF-16": reply(body=RUNS.decode().encode("utf-16"), headers={"Content-Type": "application/json; charset=utf-16"}),
    "a stream of events": reply(body=b"data: " + RUNS + b"\n\n", headers={"Content-Type": "text/event-stream"}),
    "gzip that breaks off": reply(body=PACKED[:-12], headers={"Content-Encoding": "gzip"}),
    "gzip that breaks off in its head": reply(body=PACKED[:5], headers={"Content-Encoding": "gzip"}),
    "gzip of nothing": reply(headers={"Content-Encoding": "gzip"}),
    "gzip that is none": reply(body=RUNS, headers={"Content-Encoding": "gzip"}),
    "gzip that is not said to be": reply(body=PACKED),
    "gzip twice": reply(body=gzip.compress(PACKED), headers={"Content-Encoding": "gzip"}),
    "a packing that nobody knows": reply(body=PACKED, headers={"Content-Encoding": "snappy"}),
    "fewer bytes than said": raw(f"Content-Length: {len(RUNS) + 5}", body=RUNS),
    "more bytes than said": raw(f"Content-Length: {len(RUNS) - 5}", body=RUNS),
    "a length of 0": raw("Content-Length: 0", body=RUNS),
    "a length below 0": raw("Content-Length: -1", body=RUNS[:-3]),
    "a length that is none": raw("Content-Length: many", body=RUNS[:-3]),
    "chunks that break off": chunked(RUNS[:40], RUNS[40:], end=b""),
    "chunks that break off within one": raw("Transfer-Encoding: chunked", body=b"fff\r\n" + RUNS[:60]),
    "chunks of no length": raw("Transfer-Encoding: chunked", body=b"zz\r\n" + RUNS),
    "chunks that are none": raw("Transfer-Encoding: chunked", body=RUNS),
    "no status line": RUNS,
    "half of a status line": b"HTTP/1.",
    "a status line without a status": b"HTTP/1.1 OK\r\n\r\n" + RUNS,
    "headers that never end": b"HTTP/1.1 200 OK\r\nX-A: b\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 400_000 + b"\r\n\r\n" + RUNS,
    "only 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_is_named(kind: str) -> None:
    assert_named(visit(BROKEN[kind]))


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_is_asked_for_again(kind: str) -> None:
    assert_exact(visit(BROKEN[kind], *GOOD))


def deflated(body: bytes) -> bytes:
    return reply(body=zlib.compress(body), headers={"Content-Encoding": "deflate"})


ODD = {
    "another type": [reply(body=body, headers={"Content-Type": "text/html"}) for body in (RUNS, STEPS)],
    "another character set": [
        reply(body=body, headers={"Content-Type": "application/json; charset=latin-1"}) for body in (RUNS, STEPS)
    ],
    "no length": [raw(body=body) for body in (RUNS, STEPS)],
    "chunks": [chunked(body[:9], body[9:]) for body in (RUNS, STEPS)],
    "chunks of a byte": [chunked(*(bytes([sign]) for sign in body)) for body in (RUNS, STEPS)],
    "chunks and a trailer": [chunked(body, end=b"0\r\nX-Sum: 1\r\n\r\n") for body in (RUNS, STEPS)],
    "gzip": [reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"}) for body in (RUNS, STEPS)],
    "deflate": [deflated(body) for body in (RUNS, STEPS)],
    "no packing, said twice": [reply(body=body, headers={"Content-Encoding": "identity"}) for body in (RUNS, STEPS)],
    "spaces around": [reply(body=b" \r\n" + body + b"\n\n") for body in (RUNS, STEPS)],
    "headers that are no text": [raw("X-A: \xff\xfe", f"Content-Length: {len(b)}", body=b) for b in (RUNS, STEPS)],
    "HTTP/1.0": [answer.replace(b"HTTP/1.1", b"HTTP/1.0", 1) for answer in GOOD],
    "no reason": [answer.replace(b"200 Scripted", b"200", 1) for answer in GOOD],
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_answer_that_is_whole_is_read(kind: str) -> None:
    assert_exact(visit(*ODD[kind]))


# --- how long to wait -------------------------------------------------------------------------------------------------

NO_WAIT = ["0", "-1", "-0", "soon", "", "nan", "inf", "-inf", "1e999", "1,5", "1, 2", "0x10", "9" * 400, "0.001", "1/2"]
NO_DATE = ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Foo 2026 07:28:00 GMT", "3 days", "2026-11-20"]
TOO_LONG = ["121", "86400", "1e9", "9" * 20, "Sun, 01 Nov 2099 08:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
@pytest.mark.parametrize("value", [*NO_WAIT, *NO_DATE])
def test_a_wait_that_is_none_is_not_waited_for(value: str, name: str) -> None:
    limited = reply(429, headers={name: value})

    ended = visit(limited, *GOOD)

    assert_exact(ended)
    assert ended.waited_s <= 60.0


@pytest.mark.parametrize("value", TOO_LONG)
def test_a_wait_that_is_too_long_is_named_at_once(value: str) -> None:
    ended = visit(reply(503, headers={"retry-after": value}), *GOOD)

    assert_named(ended)
    assert "the server asks to wait" in ended.said
    assert (ended.requests, ended.waited_s) == (1, 0.0)
