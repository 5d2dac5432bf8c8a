"""What the client makes of each answer of a server, mostly seen from the server: how many requests came, and when."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable, Sequence

import httpx
import pytest

from pipeline.emulator import generate_corpus, running_emulator
from pipeline.errors import ConfigurationError, RefusedError, RequestError, UnreachedError
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.http.retrying import RetryPolicy
from pipeline.http.transport import find_proxy, open_transport
from pipeline.protocol.endpoint import Endpoint
from tests.asking import THREAD_RUNS, ask, decode_list
from tests.fake_clock import FakeClock
from tests.scripted_server import CUT, OK, SILENCE, ScriptedServer, error_body, list_body, reply

MARKER = "marker-key"
BACKOFF_S = [0.5, 1.0, 2.0, 4.0, 8.0]
QUOTA_CODES = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
]


# --- what heals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_status_that_heals_is_asked_again_after_half_a_second(status: int) -> None:
    outcome = ask(reply(status, error_body(code="server_is_overloaded")), OK)
    assert outcome.ids == ["run_1"]
    assert outcome.spacing_s == [0.5]
    assert outcome.retries == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_status_that_does_not_heal_is_asked_six_times_with_doubled_waits(status: int) -> None:
    outcome = ask(reply(status, error_body(message="busy")))
    assert outcome.spacing_s == BACKOFF_S
    assert outcome.message == f"/threads/thread_1/runs: HTTP {status} (busy)"
    assert isinstance(outcome.error, RequestError)
    assert outcome.error.status == status
    assert outcome.error.exit_code == 4


@pytest.mark.parametrize("chance, waits", [(0.0, [0.5, 1.0, 2.0]), (1.0, [0.375, 0.75, 1.5])])
def test_backoff_takes_at_most_a_quarter_off(chance: float, waits: list[float]) -> None:
    assert ask(reply(500), policy=RetryPolicy(attempts=4), chance=chance).spacing_s == waits


def test_a_connection_that_ends_without_an_answer_is_asked_again() -> None:
    outcome = ask(CUT, CUT, OK)
    assert outcome.ids == ["run_1"]
    assert outcome.spacing_s == [0.5, 1.0]


def test_a_connection_that_always_ends_is_an_error_naming_the_path() -> None:
    outcome = ask(CUT)
    assert len(outcome.seen) == 6
    assert outcome.message.startswith("/threads/thread_1/runs: no answer (")


def test_a_port_where_nobody_ever_listened_is_an_error_naming_the_address_and_nothing_more_is_asked() -> None:
    async def run() -> tuple[str, str, list[float], int]:
        time = FakeClock()
        async with ScriptedServer([OK]) as server:
            url = server.base_url
        async with ApiClient(Endpoint(url), Pacer(concurrency=1), clock=time.clock()) as client:
            with pytest.raises(UnreachedError) as raised:
                await client.get(THREAD_RUNS, decode=decode_list)
            with pytest.raises(UnreachedError):
                await client.get(("threads", "thread_2", "runs"), decode=decode_list)
        return url, str(raised.value), time.slept, client.traffic.requests

    url, message, slept, requests = asyncio.run(run())
    assert message.startswith(f"nothing answers at {url}: no answer (")
    assert slept == BACKOFF_S[:3]
    assert requests == 4


def test_a_port_where_somebody_listened_before_is_tried_as_often_as_any_fault() -> None:
    async def run() -> tuple[str, list[float]]:
        time = FakeClock()
        async with ScriptedServer([OK]) as server:
            client = ApiClient(Endpoint(server.base_url), Pacer(concurrency=1), clock=time.clock())
            await client.__aenter__()
            await client.get(THREAD_RUNS, decode=decode_list)
        try:
            with pytest.raises(RequestError) as raised:
                await client.get(THREAD_RUNS, decode=decode_list)
        finally:
            await client.__aexit__()
        return str(raised.value), time.slept

    message, slept = asyncio.run(run())
    assert message.startswith("/threads/thread_1/runs: no answer (")
    assert slept == BACKOFF_S


def test_a_silent_server_is_asked_again_after_the_timeout_and_then_named_with_how_long_we_waited() -> None:
    outcome = ask(SILENCE, timeout_s=0.05, policy=RetryPolicy(attempts=2))
    assert outcome.message == "/threads/thread_1/runs: no whole answer within 0.05 s"
    # What came to the server of the two requests depends on how fast the machine is.
    assert outcome.retries == 1


@pytest.mark.parametrize(
    "kind", [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.PoolTimeout, httpx.RemoteProtocolError]
)
def test_every_fault_of_the_transport_is_asked_again(kind: type[httpx.TransportError]) -> None:
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            raise kind("https://host/v1?key=secret")
        return httpx.Response(200, text=list_body("run_1"))

    assert _get_mocked(handle) == ["run_1"]
    assert len(asked) == 2


# --- 200 that is no list ----------------------------------------------------------------------------------------------

NO_LISTS = {
    "truncated": list_body("run_1")[:-5].encode(),
    "html": b"<!DOCTYPE html><html></html>",
    "empty": b"",
    "object": b'{"ok": true}',
    "array": b"[]",
    "null": b"null",
    "data_null": b'{"data": null, "has_more": false}',
    "data_object": b'{"data": {}, "has_more": false}',
    "data_of_numbers": b'{"data": [1], "has_more": false}',
    "has_more_text": b'{"data": [], "has_more": "no"}',
    "deep": b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not_utf8": b'{"data": [{"id": "\xff\xfe"}, ',
}


@pytest.mark.parametrize("body", NO_LISTS.values(), ids=NO_LISTS.keys())
def test_a_200_that_is_no_list_is_asked_three_times_then_named_by_path(body: bytes) -> None:
    outcome = ask(reply(200, body))
    assert len(outcome.seen) == 3
    assert outcome.message.startswith("/threads/thread_1/runs: HTTP 200 but the body is not a list of the protocol (")


@pytest.mark.parametrize("body", NO_LISTS.values(), ids=NO_LISTS.keys())
def test_a_200_that_is_no_list_may_heal(body: bytes) -> None:
    outcome = ask(reply(200, body), OK)
    assert outcome.ids == ["run_1"]
    assert outcome.spacing_s == [0.5]


@pytest.mark.parametrize("items", [b"{}", b"0"])
def test_a_list_of_more_values_than_any_has_is_no_list_and_is_never_taken_apart(items: bytes) -> None:
    body = b'{"data":[' + (items + b",") * 5_000_000 + items + b'],"first_id":[],"has_more":false}'

    outcome = ask(reply(200, body))

    assert len(outcome.seen) == 3
    assert outcome.message.endswith("the body is not a list of the protocol (more than 5,000,000 values)")


def test_an_id_that_is_not_utf8_is_repaired_and_not_asked_again() -> None:
    outcome = ask(reply(200, b'{"data": [{"id": "run_\xff"}], "has_more": false}'))
    assert outcome.ids == ["run_\ufffd"]
    assert len(outcome.seen) == 1


def test_a_body_shorter_than_announced_is_asked_again() -> None:
    short = reply(200, list_body("run_1"), {"Content-Length": "5000"})
    assert ask(short, OK).spacing_s == [0.5]
    assert ask(short).message.startswith("/threads/thread_1/runs: ")


def test_gzip_that_breaks_off_is_asked_again() -> None:
    packed = gzip.compress(list_body("run_1").encode())
    broken = reply(200, b"\x00" + packed, {"Content-Encoding": "gzip"})
    whole = reply(200, packed, {"Content-Encoding": "gzip"})
    outcome = ask(broken, reply(200, packed[:20], {"Content-Encoding": "gzip"}), whole)
    assert outcome.ids == ["run_1"]
    assert len(outcome.seen) == 3


# --- what the server asks to wait -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers, wait_s",
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "90"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "2.25"}, 2.25),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:09 GMT"}, 9.0),
        ({"retry-after": "Fri, 20 Nov 2026 13:00:09 +0100"}, 9.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "-5"}, 0.5),
        ({"retry-after": "in a minute"}, 0.5),
        ({"retry-after": "nan"}, 0.5),
        ({"retry-after": "inf"}, 0.5),
        ({"retry-after": ""}, 0.5),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 0.5),
        ({"retry-after": "Mon, 01 Jan 2027 00:00:00 +99999999999999999999"}, 0.5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_server_asks_for_is_kept(status: int, headers: dict[str, str], wait_s: float) -> None:
    outcome = ask(reply(status, error_body(code="rate_limit_exceeded"), headers), OK)
    assert outcome.ids == ["run_1"]
    assert outcome.spacing_s == [wait_s]


@pytest.mark.parametrize(
    "headers, asked",
    [
        ({"retry-after": "121"}, "121 s"),
        ({"retry-after": "86400"}, "86,400 s"),
        ({"retry-after-ms": "120001"}, "120 s"),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:00 GMT"}, "86,400 s"),
    ],
)
def test_a_wait_that_is_too_long_gives_up_at_once_and_says_how_long(headers: dict[str, str], asked: str) -> None:
    outcome = ask(reply(429, error_body(code="slow_down"), headers))
    assert len(outcome.seen) == 1
    assert outcome.message == (
        f"/threads/thread_1/runs: HTTP 429 (slow_down, no luck): the server asks to wait {asked};"
        " the longest we wait is 120 s"
    )


def test_how_long_we_are_willing_to_wait_can_be_set() -> None:
    policy = RetryPolicy(longest_retry_after_s=600)
    assert ask(reply(429, b"", {"retry-after": "599"}), OK, policy=policy).spacing_s == [599.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
def test_x_should_retry_true_overrides_a_status_that_is_final(status: int) -> None:
    outcome = ask(reply(status, error_body(), {"x-should-retry": "true"}), OK)
    assert outcome.ids == ["run_1"]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_x_should_retry_false_overrides_a_status_that_heals(status: int) -> None:
    outcome = ask(reply(status, error_body(), {"x-should-retry": "false"}), OK)
    assert outcome.ids is None
    assert len(outcome.seen) == 1


def test_any_other_x_should_retry_says_nothing() -> None:
    assert len(ask(reply(500, b"", {"x-should-retry": "maybe"}), OK).seen) == 2
    assert len(ask(reply(400, b"", {"x-should-retry": "maybe"}), OK).seen) == 1


# --- what does not heal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 410, 422, 501])
def test_a_final_status_is_asked_once_and_named(status: int) -> None:
    outcome = ask(reply(status, error_body(code="bad", message="No such thing.")), OK)
    assert len(outcome.seen) == 1
    assert outcome.message == f"/threads/thread_1/runs: HTTP {status} (bad, No such thing.)"
    assert isinstance(outcome.error, RequestError)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_an_error_of_its_own_with_what_to_do(status: int) -> None:
    outcome = ask(reply(status, error_body(message="Incorrect API key provided.")), OK)
    assert len(outcome.seen) == 1
    assert isinstance(outcome.error, RefusedError)
    assert outcome.error.exit_code == 3
    assert outcome.message == (
        f"the server refuses us at /threads/thread_1/runs: HTTP {status} (Incorrect API key provided.):"
        " check the key, its permissions and quota"
    )


@pytest.mark.parametrize("code", QUOTA_CODES)
@pytest.mark.parametrize("field", ["type", "code"])
def test_a_quota_is_never_waited_for(code: str, field: str) -> None:
    body = error_body(kind=code) if field == "type" else error_body(kind="requests", code=code)
    outcome = ask(reply(429, body, {"retry-after": "1"}), OK)
    assert len(outcome.seen) == 1
    assert isinstance(outcome.error, RefusedError)
    assert code in outcome.message


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "slow_down", "something_new"])
@pytest.mark.parametrize("field", ["type", "code"])
def test_a_rate_limit_is_waited_for(code: str, field: str) -> None:
    body = error_body(kind=code) if field == "type" else error_body(kind="requests", code=code)
    assert ask(reply(429, body, {"retry-after": "4"}), OK).spacing_s == [4.0]


@pytest.mark.parametrize(
    "body, label",
    [
        (b'{"status":"failure","message":"Invalid config"}', " (Invalid config)"),
        (b'{"detail":"Not Found"}', " (Not Found)"),
        (b'{"error":"Not Found"}', " (Not Found)"),
        (b'{"error":{"message":7}}', ""),
        (b'{"error":null}', ""),
        (b"[1]", ""),
        (b"Internal Server Error", ""),
        (b"\xff\xfe", ""),
        (b'{"error": "\xff"}', ""),
        (b"[" * 100_000, ""),
        (b"", ""),
    ],
)
def test_an_error_body_of_any_shape_leads_to_a_plain_message(body: bytes, label: str) -> None:
    assert ask(reply(404, body)).message == f"/threads/thread_1/runs: HTTP 404{label}"


def test_an_answer_that_is_too_large_is_given_up() -> None:
    stream = _Endless()

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=stream)

    with pytest.raises(RequestError, match=r"^/threads/thread_1/runs: the answer is larger than 512 MiB$"):
        _get_mocked(handle)
    assert stream.given_bytes == (512 + 16) * 2**20


def test_a_packed_answer_that_unpacks_to_too_much_is_given_up() -> None:
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    head, block = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH), bytes(2**24)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)

    def handle(request: httpx.Request) -> httpx.Response:
        # A flush lets the same packed block follow itself: 34 of 16 MiB each.
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Chunks([head, *[packed] * 34]))

    with pytest.raises(RequestError, match=r"^/threads/thread_1/runs: the answer is larger than 512 MiB$"):
        _get_mocked(handle)
    assert len(packed) < 2**17


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_other_host_sees_nothing(status: int) -> None:
    async def run() -> tuple[str, int, int]:
        async with ScriptedServer([OK]) as other:
            location = f"http://127.0.0.1:{other.port}/v1/threads?key=hidden"
            async with ScriptedServer([reply(status, b"", {"Location": location})]) as server:
                endpoint = Endpoint(server.base_url, {"Authorization": f"Bearer {MARKER}"}, secrets=(MARKER,))
                async with ApiClient(endpoint, Pacer(concurrency=1), clock=FakeClock().clock()) as client:
                    with pytest.raises(RequestError) as raised:
                        await client.get(THREAD_RUNS, decode=decode_list)
                return str(raised.value), len(server.seen), len(other.seen)

    message, requests, elsewhere = asyncio.run(run())
    assert (requests, elsewhere) == (1, 0)
    assert message.startswith(f"/threads/thread_1/runs: HTTP {status}: the server redirects to 127.0.0.1;")
    assert "hidden" not in message


@pytest.mark.parametrize("location", ["/elsewhere", "", "http://[", "http://[::bad"])
def test_a_redirect_to_nowhere_in_particular_is_an_error_too(location: str) -> None:
    outcome = ask(reply(302, b"", {"Location": location}))
    assert "redirects to another path" in outcome.message


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize(
    "message", [f"Incorrect key: {MARKER}.", f"Bearer {MARKER} is wrong", "x" * 270 + MARKER, "x" * 296 + MARKER]
)
def test_a_key_that_the_server_echoes_is_not_shown(status: int, message: str) -> None:
    outcome = ask(
        reply(status, error_body(message=message, code=MARKER)),
        headers={"Authorization": f"Bearer {MARKER}"},
        secrets=(MARKER,),
        policy=RetryPolicy(attempts=1),
    )
    assert outcome.seen[0].headers["authorization"] == f"Bearer {MARKER}"
    assert "marker" not in outcome.message


def test_errors_and_reprs_hold_no_header_and_no_query_string() -> None:
    endpoint = Endpoint(
        "https://host.example/v1",
        {"Authorization": f"Bearer {MARKER}", "x-other": "hidden-header"},
        params=(("code", "hidden-parameter"),),
        secrets=(MARKER,),
    )
    client = ApiClient(endpoint, Pacer(concurrency=1))
    shown = f"{endpoint!r} {client!r} {endpoint.path(THREAD_RUNS)}"
    assert "host.example" in shown
    assert MARKER not in shown
    assert "hidden" not in shown


def test_an_error_holds_no_query_string() -> None:
    outcome = ask(reply(404), params=[("after", "run_9"), ("code", "hidden")])
    assert outcome.seen[0].target == "/v1/threads/thread_1/runs?after=run_9&code=hidden"
    assert outcome.message == "/threads/thread_1/runs: HTTP 404"


# --- ids on the wire --------------------------------------------------------------------------------------------------

ODD_IDS = {
    "a/b": "a%2Fb",
    "a?b=1": "a%3Fb%3D1",
    "a#b": "a%23b",
    "100%": "100%25",
    "a%2Fb": "a%252Fb",
    "a b": "a%20b",
    "läuft": "l%C3%A4uft",
    "名前🙂": "%E5%90%8D%E5%89%8D%F0%9F%99%82",
    "a+b": "a%2Bb",
    "it's": "it%27s",
    'say"so"': "say%22so%22",
    "a&b=c;d": "a%26b%3Dc%3Bd",
    "a\\b": "a%5Cb",
    "a:b@c": "a%3Ab%40c",
    "..a": "..a",
}
# Signs that need no escape in that place; the transport writes them plain, which is the same URL.
PLAIN_IN_PATH = {"%27": "'", "%3D": "=", "%26": "&", "%3B": ";", "%3A": ":", "%40": "@", "%2B": "+"}


@pytest.mark.parametrize("odd, escaped", ODD_IDS.items())
def test_an_id_is_one_segment_of_the_path(odd: str, escaped: str) -> None:
    target = ask(OK, segments=("threads", odd, "runs")).seen[0].target
    assert target.split("/") == ["", "v1", "threads", target.split("/")[3], "runs"]
    assert _read_segment(target.split("/")[3]) == odd
    assert _plain(target.split("/")[3]) == _plain(escaped)


@pytest.mark.parametrize("odd, escaped", ODD_IDS.items())
def test_an_id_is_one_value_of_the_query(odd: str, escaped: str) -> None:
    target = ask(OK, params=[("after", odd), ("limit", "100")]).seen[0].target
    path, _, query = target.partition("?")
    assert path == "/v1/threads/thread_1/runs"
    assert httpx.QueryParams(query).multi_items() == [("after", odd), ("limit", "100")]


@pytest.mark.parametrize("odd", [".", "..", "", "x" * 70_000])
def test_an_id_that_no_url_can_carry_is_an_error_and_not_another_resource(odd: str) -> None:
    outcome = ask(OK, segments=("threads", "thread_1", "runs", odd, "steps"))
    assert isinstance(outcome.error, RequestError)
    assert outcome.seen == []


# --- holding back -----------------------------------------------------------------------------------------------------


def test_a_pause_that_the_server_asks_for_holds_back_every_request() -> None:
    starts = _start_times(10, concurrency=3, limited={0: "30"})
    assert len(starts) == 11
    assert starts[:4] == [0.0, 0.0, 0.0, 30.0]


@pytest.mark.parametrize("limited", [{0: "5", 1: "60"}, {0: "60", 1: "5"}])
def test_a_longer_pause_wins(limited: dict[int, str]) -> None:
    starts = _start_times(3, concurrency=3, limited=limited)
    assert starts[:4] == [0.0, 0.0, 0.0, 60.0]


def test_requests_per_minute_spaces_the_starts() -> None:
    assert _start_times(5, concurrency=5, requests_per_minute=120) == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_requests_per_minute_holds_for_retries_too() -> None:
    assert _start_times(3, concurrency=3, requests_per_minute=60, limited={0: "0"}) == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("concurrency, peaks", [(1, {1}), (4, {2, 3, 4})])
def test_no_more_requests_are_under_way_than_asked_for(concurrency: int, peaks: set[int]) -> None:
    corpus = generate_corpus(threads=5)
    with running_emulator(corpus) as emulator:
        emulator.set_faults([{"fault": "latency_ms", "latency_ms": 5}])

        async def run() -> None:
            endpoint = Endpoint(emulator.base_url, {"Authorization": f"Bearer {emulator.api_key}"})
            async with ApiClient(endpoint, Pacer(concurrency=concurrency)) as client:
                await asyncio.gather(*(client.get(("threads",), decode=decode_list) for _ in range(24)))

        asyncio.run(run())
        assert len(emulator.requests()) == 24
        assert emulator.peak_in_flight() in peaks


# --- proxies and certificates -----------------------------------------------------------------------------------------


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_without_proxies_in_the_environment_none_is_used(no_proxies: pytest.MonkeyPatch) -> None:
    assert find_proxy("https://host.example/v1") is None


def test_the_proxy_of_the_scheme_is_used(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert find_proxy("https://host.example/v1") == "http://proxy.example:3128"
    assert find_proxy("http://host.example/v1") is None


def test_the_proxy_for_everything_is_used_where_the_scheme_has_none(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("ALL_PROXY", "http://all.example:3128")
    no_proxies.setenv("https_proxy", "http://proxy.example:3128")
    assert find_proxy("http://host.example/v1") == "http://all.example:3128"
    assert find_proxy("https://host.example/v1") == "http://proxy.example:3128"


def test_no_proxy_is_kept(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    no_proxies.setenv("NO_PROXY", "inside.example")
    assert find_proxy("https://api.inside.example/v1") is None
    assert find_proxy("https://host.example/v1") == "http://proxy.example:3128"


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8787/v1", "http://localhost:4000", "http://[::1]:1/v1"])
def test_loopback_never_goes_through_a_proxy(no_proxies: pytest.MonkeyPatch, base_url: str) -> None:
    no_proxies.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert find_proxy(base_url) is None


def test_requests_really_go_through_the_proxy(no_proxies: pytest.MonkeyPatch) -> None:
    async def run() -> str:
        async with ScriptedServer([OK]) as proxy:
            no_proxies.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            async with ApiClient(Endpoint("http://host.example/v1"), Pacer(concurrency=1)) as client:
                await client.get(THREAD_RUNS, decode=decode_list)
        return proxy.seen[0].target

    assert asyncio.run(run()) == "http://host.example/v1/threads/thread_1/runs"


def test_a_ca_bundle_that_the_environment_names_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        open_transport(Endpoint("https://host.example/v1"))


# --- set-up -----------------------------------------------------------------------------------------------------------


class _Endless(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.given_bytes = 0

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        block = b" " * 2**24
        while True:
            self.given_bytes += len(block)
            yield block


class _Chunks(httpx.AsyncByteStream):
    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for chunk in self.chunks:
            yield chunk


def _get_mocked(handle: Callable[[httpx.Request], httpx.Response]) -> list[object]:
    async def run() -> list[object]:
        time = FakeClock()
        transport = httpx.MockTransport(handle)
        endpoint = Endpoint("https://host.example/v1")
        async with ApiClient(endpoint, Pacer(concurrency=1), clock=time.clock(), transport=transport) as client:
            answer = await client.get(THREAD_RUNS, decode=decode_list)
        return [item.id for item in answer.value.data]

    return asyncio.run(run())


def _start_times(
    count: int,
    *,
    concurrency: int,
    requests_per_minute: float | None = None,
    limited: dict[int, str] | None = None,
) -> list[float]:
    """When requests made at once start; those `limited` (in order of arrival) get a 429 with that wait."""
    time = FakeClock()
    starts: list[float] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        number = len(starts)
        starts.append(time.time_s)
        # The answer takes a turn of the loop, so that others come in meanwhile.
        await asyncio.sleep(0)
        if (wait := (limited or {}).get(number)) is not None:
            return httpx.Response(429, headers={"retry-after": wait})
        return httpx.Response(200, text=json.dumps({"data": []}))

    async def run() -> None:
        pacer = Pacer(concurrency=concurrency, requests_per_minute=requests_per_minute, clock=time.clock())
        transport = httpx.MockTransport(handle)
        endpoint = Endpoint("https://host.example/v1")
        async with ApiClient(endpoint, pacer, clock=time.clock(), transport=transport) as client:
            await asyncio.gather(*(client.get(("threads",), decode=decode_list) for _ in range(count)))

    asyncio.run(run())
    return starts


def _plain(escaped: str) -> str:
    for escape, sign in PLAIN_IN_PATH.items():
        escaped = escaped.replace(escape, sign)
    return escaped


def _read_segment(escaped: str) -> str:
    return httpx.URL(f"http://host/{escaped}").path[1:]
