"""Faults of the whole answer: statuses, broken connections, broken bodies, limits on the rate."""

import gzip
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from pipeline.emulator.exchange import Answer, Exchange, make_error
from pipeline.emulator.faults.rules import FaultRule, FaultShape

AnswerFault = Callable[[Exchange, Answer, FaultRule], Answer]

_HTML: Final = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_NOT_ENVELOPES: Final = {
    "object": b'{"ok":true}',
    "array": b"[]",
    "string": b'"ok"',
    "data_null": b'{"object":"list","data":null,"first_id":null,"last_id":null,"has_more":false}',
    "data_not_list": b'{"object":"list","data":{"a":1},"first_id":null,"last_id":null,"has_more":false}',
}
_REMARKS: Final = {
    "partial": b'"partial":true',
    "truncated": b'"truncated":true',
    "message": b'"message":"The upstream did not answer in time."',
    "detail": b'"detail":"Not all shards answered."',
    "warnings": b'"warnings":[{"code":"partial_results"}]',
}
_BODY_KINDS: Final = ("openai", "plain", "html", "litellm", "portkey", "empty")


def answer_status(_exchange: Exchange, _answer: Answer, rule: FaultRule) -> Answer:
    """Another status with an error body of some kind; `headers` are sent as they are."""
    asked = rule.parameters
    failed = _write_error(asked["body"], asked["status"], rule)
    failed.headers |= {str(name): str(value) for name, value in asked["headers"].items()}
    return failed


def _write_error(kind: str, status: int, rule: FaultRule) -> Answer:
    message = rule.parameters["message"]
    if kind == "openai":
        error_type = rule.parameters["error_type"] or _guess_type(status)
        return make_error(status, message, kind=error_type, code=rule.parameters["error_code"])
    if kind == "litellm":
        return Answer(status, msgspec.json.encode({"detail": message}))
    if kind == "portkey":
        return Answer(status, msgspec.json.encode({"status": "failure", "message": message}))
    bodies = {"plain": message.encode(), "html": _HTML, "empty": b""}
    return Answer(status, bodies[kind], content_type="text/html" if kind == "html" else "text/plain")


def _guess_type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def reset_connection(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """The connection ends before the answer, or in the middle of its body."""
    middle = max(1, len(answer.body) // 2)
    return replace(answer, cut_after_bytes=0 if rule.parameters["at"] == "start" else middle)


def slow_body(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """The body comes at `bytes_per_s`."""
    return replace(answer, bytes_per_s=max(1.0, float(rule.parameters["bytes_per_s"])))


def delay_answer(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """The answer comes `latency_ms` later."""
    return replace(answer, latency_s=answer.latency_s + rule.parameters["latency_ms"] / 1000)


def answer_html(_exchange: Exchange, _answer: Answer, _rule: FaultRule) -> Answer:
    """A page for people, with status 200."""
    return Answer(200, _HTML, content_type="text/html")


def halve_json(_exchange: Exchange, answer: Answer, _rule: FaultRule) -> Answer:
    """The first half of the body as if it were all."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def answer_no_envelope(_exchange: Exchange, _answer: Answer, rule: FaultRule) -> Answer:
    """Valid JSON that is not a list envelope."""
    return Answer(200, _NOT_ENVELOPES[rule.parameters["kind"]])


def add_error(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """200 with an error beside an empty list, or beside what was asked for."""
    if answer.status != 200:
        return answer
    data = b'{"object":"list","data":[],"has_more":false}' if rule.parameters["list"] == "empty" else answer.body
    error = b',"error":{"message":"The backend is down.","type":"server_error","code":"internal_error"}}'
    return Answer(200, data[:-1] + error)


def add_remark(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """200 with a remark that the list is not all beside an empty list, or beside what was asked for."""
    if answer.status != 200:
        return answer
    data = b'{"object":"list","data":[],"has_more":false}' if rule.parameters["list"] == "empty" else answer.body
    return Answer(200, data[:-1] + b"," + _REMARKS[rule.parameters["remark"]] + b"}")


def lie_about_length(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """A Content-Length that is off by `difference` bytes."""
    return replace(answer, declared_length=max(0, len(answer.body) + int(rule.parameters["difference"])))


def break_gzip(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """A body announced as gzip that is cut off, or is no gzip at all."""
    packed = gzip.compress(answer.body, mtime=0)
    body = packed[: len(packed) // 2] if rule.parameters["kind"] == "truncated" else b"\x00" + packed
    return replace(answer, body=body, headers=answer.headers | {"Content-Encoding": "gzip"})


def enlarge_body(_exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """The same JSON made `bytes` long by spaces before its last bracket."""
    missing = max(0, int(rule.parameters["bytes"]) - len(answer.body))
    return replace(answer, body=answer.body[:-1] + b" " * missing + answer.body[-1:])


def nest_deeply(_exchange: Exchange, _answer: Answer, rule: FaultRule) -> Answer:
    """An envelope whose data are arrays in arrays, `depth` levels deep."""
    depth = int(rule.parameters["depth"])
    data = b"[" * depth + b"]" * depth
    return Answer(200, b'{"object":"list","data":' + data + b',"has_more":false}')


def limit_rate(exchange: Exchange, answer: Answer, rule: FaultRule) -> Answer:
    """429 with a time to wait for requests beyond `per_second`; `burst` of them may come at once."""
    per_second = float(rule.parameters["per_second"])
    burst = float(rule.parameters["burst"] or max(1.0, per_second))
    full = burst if rule.tokens is None else rule.tokens
    tokens = min(burst, full + (exchange.now_s - rule.filled_at_s) * per_second)
    rule.filled_at_s = exchange.now_s
    rule.tokens = tokens
    if tokens >= 1:
        rule.tokens -= 1
        return answer
    limited = make_error(429, "Rate limit reached. Please slow down.", kind="requests", code="rate_limit_exceeded")
    wait_s = (1 - tokens) / per_second
    if rule.parameters["header"] == "retry-after":
        limited.headers["retry-after"] = str(math.ceil(wait_s))
    elif rule.parameters["header"] == "retry-after-ms":
        limited.headers["retry-after-ms"] = str(math.ceil(wait_s * 1000))
    return limited


def redirect(_exchange: Exchange, _answer: Answer, rule: FaultRule) -> Answer:
    """302 to `location`."""
    headers = {"Location": str(rule.parameters["location"])}
    return Answer(int(rule.parameters["status"]), b"", headers, "text/plain")


# In the order in which they apply: what is answered, then how its bytes are spoilt, then how they travel.
ANSWER_FAULTS: Final[Mapping[str, AnswerFault]] = {
    "redirect": redirect,
    "status": answer_status,
    "rate_limit": limit_rate,
    "html_200": answer_html,
    "not_envelope": answer_no_envelope,
    "error_in_200": add_error,
    "remark_in_200": add_remark,
    "deep_json": nest_deeply,
    "big_body": enlarge_body,
    "half_json": halve_json,
    "broken_gzip": break_gzip,
    "wrong_content_length": lie_about_length,
    "slow_body": slow_body,
    "latency_ms": delay_answer,
    "reset": reset_connection,
}

ANSWER_SHAPES: Final[Mapping[str, FaultShape]] = {
    "status": FaultShape(
        {
            "status": 500,
            "body": "openai",
            "headers": {},
            "error_type": None,
            "error_code": None,
            "message": "The emulator was told to fail.",
        },
        {"body": _BODY_KINDS},
    ),
    "reset": FaultShape({"at": "start"}, {"at": ("start", "middle")}),
    "slow_body": FaultShape({"bytes_per_s": 1000.0}),
    "latency_ms": FaultShape({"latency_ms": 100.0}),
    "html_200": FaultShape(),
    "half_json": FaultShape(),
    "not_envelope": FaultShape({"kind": "object"}, {"kind": tuple(_NOT_ENVELOPES)}),
    "error_in_200": FaultShape({"list": "empty"}, {"list": ("empty", "full")}),
    "remark_in_200": FaultShape(
        {"list": "empty", "remark": "partial"}, {"list": ("empty", "full"), "remark": tuple(_REMARKS)}
    ),
    "wrong_content_length": FaultShape({"difference": 10}),
    "broken_gzip": FaultShape({"kind": "truncated"}, {"kind": ("truncated", "not_gzip")}),
    "big_body": FaultShape({"bytes": 10_000_000}),
    "deep_json": FaultShape({"depth": 100_000}),
    "rate_limit": FaultShape(
        {"per_second": 10.0, "burst": None, "header": "retry-after"},
        {"header": ("retry-after", "retry-after-ms", "none")},
    ),
    "redirect": FaultShape({"location": "https://example.com/elsewhere", "status": 302}),
}
