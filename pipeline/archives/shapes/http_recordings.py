"""HTTP recordings: requests with their answers, as browsers (HAR), VCR, betamax and their kin keep them."""

import base64
import binascii
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from msgspec import Raw, Struct, UnsetType

from pipeline.archives.shapes.content import Context, LeftOut, Order, Unrecognised, Within
from pipeline.archives.shapes.heads import Head
from pipeline.archives.shapes.sent_items import read_sent
from pipeline.protocol.json_text import repair_json
from pipeline.protocol.spellings import read_instant

_PATH = re.compile(
    r"/threads/(?:runs|(?P<thread>[^/]+)/runs"
    r"(?:/(?P<run>[^/]+)(?:/(?P<steps>steps)(?:/[^/]+)?|/cancel|/submit_tool_outputs)?)?)/?$"
)
# Of responses, conversations and sessions; what is found there says itself what it is.
_NEWER_PATH = re.compile(
    r"/(?:responses(?:/[^/]+(?:/input_items|/cancel)?)?|conversations/(?P<conversation>[^/]+)/items(?:/[^/]+)?"
    r"|agents/sessions(?:/(?P<session>[^/]+)(?:/subagents/[^/]+)?(?:/(?:turns(?:/(?P<turn>[^/]+)(?:/items)?)?|items))?)?"
    r"|files/[^/]+/content)/?$"
)
# Answers with a content are these; 204 and 205 have none.
_ANSWERS = range(200, 204)
# Methods whose answers are objects; a preflight or a HEAD has no content to lose.
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH"})
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_BYTES = 64 * 2**20


class _Request(Struct, gc=False):
    url: str | None = None
    uri: str | None = None
    method: str = "GET"
    body: Any = None
    # The name in HAR.
    post_data: Any = msgspec.field(default=None, name="postData")


class _Content(Struct, gc=False):
    text: str | None = None
    encoding: str | None = None
    mimeType: str | None = None  # noqa: N815 - the name in HAR
    file: str | None = msgspec.field(default=None, name="_file")


class _Response(Struct, gc=False):
    status: Any = 0
    code: Any = None
    content: Any = None
    body: Any = None
    headers: Any = None


class _Log(Struct, gc=False):
    entries: list[Raw]


def read_recording(log: Raw, context: Context) -> Iterator[Within | Unrecognised]:
    """The exchanges of a HAR file."""
    try:
        entries = msgspec.json.decode(log, type=_Log).entries
    except msgspec.DecodeError as error:
        yield Unrecognised(f"{context.where}.log", f"no HTTP recording ({error})")
        return
    for index, entry in enumerate(entries):
        yield Within(bytes(entry), replace(context, where=f"{context.where}.log.entries[{index}]"))


def read_interactions(head: Head, context: Context) -> Iterator[Within | Unrecognised]:
    """The exchanges of a cassette of VCR or betamax in JSON."""
    for name, raw in (("interactions", head.interactions), ("http_interactions", head.http_interactions)):
        if isinstance(raw, UnsetType):
            continue
        try:
            interactions = msgspec.json.decode(raw, type=list[Raw])
        except msgspec.DecodeError as error:
            yield Unrecognised(f"{context.where}.{name}", f"no HTTP recording ({error})")
            return
        for index, interaction in enumerate(interactions):
            yield Within(bytes(interaction), replace(context, where=f"{context.where}.{name}[{index}]"))


def is_http(head: Head) -> bool:
    """Whether a request with its answer is one of HTTP: others keep the answer's object where HTTP has a status."""
    try:
        request, response = (_decode(each, dict[str, Any]) for each in (head.request, head.response))
    except (msgspec.DecodeError, RecursionError):
        return True
    statuses = (response.get("status"), response.get("code"))
    return any(isinstance(request.get(name), str) for name in ("url", "uri")) and any(
        isinstance(each, int | dict) or str(each)[:3].isdigit() for each in statuses
    )


def read_exchange(head: Head, context: Context) -> Iterator[Within | LeftOut | Unrecognised]:
    """What one request was answered, if it was one for runs or steps."""
    try:
        request = _decode(head.request, _Request)
        response = _decode(head.response, _Response)
        url = urlsplit(request.url or request.uri or "")
        query = parse_qs(url.query)
    except msgspec.DecodeError as error:
        yield Unrecognised(context.where, f"no HTTP exchange ({error})")
        return
    except ValueError:
        yield Unrecognised(context.where, "no HTTP exchange (its URL cannot be read)")
        return
    match = _PATH.search(url.path)
    newer = None if match else _NEWER_PATH.search(url.path)
    is_answer = _status_of(response) in _ANSWERS and request.method.upper() in _METHODS
    if not is_answer or (match is None and newer is None):
        yield LeftOut(context.where)
        return
    if newer is not None:
        yield from read_sent(_sent_body(request), context)
    body, kind = _body_of(response, context)
    if body is None:
        yield Unrecognised(context.where, f"an answer {kind}")
        return
    order: Order = "asc" if query.get("order") == ["asc"] else "desc"
    cursors = query.get("after", []) + query.get("before", [])
    within = replace(
        context,
        where=f"{context.where}.response",
        order=order,
        seen_at=_seen_at(head),
        is_recorded=newer is None and request.method.upper() == "GET",
        cursor=cursors[0] if cursors else None,
    )
    within = _owned(within, match) if match else _owned_by(within, newer)
    is_stream = kind.startswith("text/event-stream")
    yield Within(body, replace(within, order=None) if is_stream else within, is_stream)


def _owned(context: Context, match: re.Match[str]) -> Context:
    """With the thread and the run that a path of assistants names."""
    is_steps = match["steps"] is not None
    return replace(
        context,
        thread_id=_unquoted(match["thread"]),
        run_id=_unquoted(match["run"]) if is_steps else None,
        resource="steps" if is_steps else "runs",
        is_asked=True,
    )


def _owned_by(context: Context, match: re.Match[str] | None) -> Context:
    """With the conversation, or the session and the turn, that a path of their successors names."""
    if match is None:
        return context
    thread_id = _unquoted(match["conversation"]) or _unquoted(match["session"])
    return replace(context, thread_id=thread_id, run_id=_unquoted(match["turn"]), resource=None)


def _decode(raw: Raw | UnsetType, kind: type[Any]) -> Any:
    body = b"null" if isinstance(raw, UnsetType) else bytes(raw)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(repair_json(body), type=kind)


def _status_of(response: _Response) -> int:
    """HAR has a number, VCR and betamax an object with its code, go-vcr a text and the code beside it."""
    status = response.status.get("code") if isinstance(response.status, dict) else response.status
    for value in (response.code, status):
        if isinstance(value, int):
            return value
        if isinstance(value, str) and value[:3].isdigit():
            return int(value[:3])
    return 0


def _body_of(response: _Response, context: Context) -> tuple[bytes | None, str]:
    """The content and its type, or None and why there is none."""
    kind = _kind_of(response.headers)
    if isinstance(response.content, dict):
        content = msgspec.convert(response.content, type=_Content, strict=False)
        body = _har_body(content, context)
        kind = content.mimeType or kind
    else:
        body = _cassette_body(response.body)
    if body is None or not body.strip():
        return None, "that was recorded without its content"
    if body.startswith(_GZIP_MAGIC):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
                body = file.read(_MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            return None, "whose content is damaged"
        if len(body) > _MOST_BYTES:
            return None, f"of more than {_MOST_BYTES:,} bytes"
    return body, kind


def _sent_body(request: _Request) -> bytes | None:
    """What a request said: HAR has its text, cassettes have it as they have answers."""
    if isinstance(request.post_data, dict):
        text = request.post_data.get("text")
        return text.encode("utf-8", errors="replace") if isinstance(text, str) else None
    return _cassette_body(request.body)


def _har_body(content: _Content, context: Context) -> bytes | None:
    if content.text is None:
        # Playwright keeps bodies in files of their own.
        return context.read_beside(content.file) if content.file and context.read_beside else None
    if content.encoding == "base64":
        return _unpacked(content.text)
    return content.text.encode("utf-8", errors="replace")


def _cassette_body(body: Any) -> bytes | None:
    """Of VCR.py a text or an object with a `string`, of betamax one with a `base64_string`, of go-vcr a text."""
    if isinstance(body, str):
        return body.encode("utf-8", errors="replace")
    if not isinstance(body, dict):
        return None
    if isinstance(packed := body.get("base64_string"), str):
        return _unpacked(packed)
    if "string" in body or "encoding" in body:
        return _cassette_body(body.get("string"))
    # Logs keep an answer as the object that it was.
    return msgspec.json.encode(body) if body else None


def _unpacked(text: str) -> bytes | None:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return None


def _kind_of(headers: Any) -> str:
    """The content's type of headers as cassettes have them: by name, each a text or a list."""
    if not isinstance(headers, dict):
        return ""
    found = next((value for name, value in headers.items() if str(name).lower() == "content-type"), "")
    return str(found[0] if isinstance(found, list) and found else found)


def _seen_at(head: Head) -> datetime | None:
    for value in (head.startedDateTime, head.recorded_at):
        try:
            seconds = read_instant(value)[0] if isinstance(value, str) else None
            if seconds is not None:
                return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _unquoted(segment: str | None) -> str | None:
    return None if segment is None else unquote(segment)
