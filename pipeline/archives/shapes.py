"""Runs and steps out of JSON documents of any shape that people keep them in; pure, nothing is passed over silently."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from pipeline.protocol.json_text import MOST_VALUES, has_too_many_values, repair_unicode
from pipeline.protocol.pages import Resource

Order = Literal["asc", "desc"]
_OBJECTS: dict[str, Resource] = {"thread.run": "runs", "thread.run.step": "steps"}
# Other objects of the protocol: known, and not what we keep.
_OTHER_OBJECTS = re.compile(
    r"thread(\.message(\.\w+)*|\.run\.step\.delta|\.deleted)?|assistant(\.\w+)*|file|vector_store(\.\w+)*|model"
)
_PATH = re.compile(
    r"/threads/(?:runs|(?P<thread>[^/]+)/runs"
    r"(?:/(?P<run>[^/]+)(?:/(?P<steps>steps)(?:/[^/]+)?|/cancel|/submit_tool_outputs)?)?)/?$"
)
_HTTP_ERROR = 400


class Head(Struct, gc=False):
    """What tells what a JSON object is, whose it is, and how new; `data` and `log` are there when it holds others."""

    id: Any = None
    object: Any = None
    run_id: Any = None
    thread_id: Any = None
    assistant_id: Any = None
    status: Any = None
    created_at: Any = None
    started_at: Any = None
    completed_at: Any = None
    failed_at: Any = None
    cancelled_at: Any = None
    expired_at: Any = None
    usage: Raw | UnsetType = UNSET
    step_details: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    log: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    request: Raw | UnsetType = UNSET
    response: Raw | UnsetType = UNSET
    startedDateTime: Any = None  # noqa: N815 - the name in HAR


class _Request(Struct, gc=False):
    url: str
    method: str = "GET"


class _Content(Struct, gc=False):
    text: str | None = None
    encoding: str | None = None
    mimeType: str | None = None  # noqa: N815 - the name in HAR


class _Response(Struct, gc=False):
    status: int = 0
    content: _Content | None = None


class _Log(Struct, gc=False):
    entries: list[Raw]


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of an object from around it; `in_list` says that a list envelope had it."""

    where: str
    thread_id: str | None = None
    run_id: str | None = None
    resource: Resource | None = None
    order: Order | None = None
    seen_at: datetime | None = None
    in_list: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A run or a step as sent. `run_id` is None for a run; `seen_at` when a recording saw it."""

    resource: Resource
    object_id: str
    thread_id: str
    run_id: str | None
    body: bytes
    head: Head
    context: Context


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something known that is neither a run nor a step: a message, a refused request, a request for something else."""

    where: str


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """Something that is not known, with where it stands and why; `reason` repeats nothing of what is there."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


Content = Found | LeftOut | Unrecognised


def read_content(body: bytes, context: Context) -> Iterator[Content]:
    """Everything that one JSON document holds."""
    try:
        yield from _read_value(body, context)
    except RecursionError:
        yield Unrecognised(context.where, "nested too deeply")


def _read_value(body: bytes, context: Context) -> Iterator[Content]:
    text = body.lstrip()
    if has_too_many_values(body):
        yield Unrecognised(context.where, f"more than {MOST_VALUES:,} values in one document: split it")
    elif text.startswith(b"["):
        yield from _read_list(body, context)
    elif text.startswith(b"{"):
        yield from _read_object(body, context)
    else:
        yield Unrecognised(context.where, "no JSON object or list")


def _read_list(body: bytes, context: Context) -> Iterator[Content]:
    try:
        items = msgspec.json.decode(body, type=list[Raw])
    except msgspec.DecodeError as error:
        yield Unrecognised(context.where, f"not JSON ({error})")
        return
    for index, item in enumerate(items):
        yield from _read_value(bytes(item), replace(context, where=f"{context.where}[{index}]"))


def _read_object(body: bytes, context: Context) -> Iterator[Content]:
    try:
        head = _decode_head(body)
    except msgspec.DecodeError as error:
        yield Unrecognised(context.where, f"not JSON ({error})")
        return
    if (resource := _resource_of(head, context)) is not None:
        yield _found(resource, body, head, context)
    elif not isinstance(head.data, UnsetType):
        # A list envelope, or an event of a stream with its one object.
        within = replace(context, where=f"{context.where}.data", in_list=head.object == "list")
        yield from _read_value(bytes(head.data), within)
    elif not isinstance(head.log, UnsetType):
        yield from _read_recording(head.log, context)
    elif not isinstance(head.request, UnsetType) and not isinstance(head.response, UnsetType):
        yield from _read_exchange(head, context)
    elif (isinstance(head.object, str) and _OTHER_OBJECTS.fullmatch(head.object)) or _is_error(head):
        yield LeftOut(context.where)
    else:
        yield Unrecognised(context.where, "neither a run nor a step")


def _decode_head(body: bytes) -> Head:
    try:
        return msgspec.json.decode(body, type=Head)
    except msgspec.DecodeError:
        return msgspec.json.decode(repair_unicode(body), type=Head)


def _resource_of(head: Head, context: Context) -> Resource | None:
    if isinstance(head.object, str) and head.object:
        return _OBJECTS.get(head.object)
    if not isinstance(head.data, UnsetType) or not isinstance(head.log, UnsetType) or _is_error(head):
        return None
    if not isinstance(head.step_details, UnsetType):
        return "steps"
    if isinstance(head.id, str) and head.id:
        if context.resource is not None:
            return context.resource
        if isinstance(head.run_id, str):
            return "steps"
        if isinstance(head.assistant_id, str) and isinstance(head.thread_id, str) and isinstance(head.status, str):
            return "runs"
    return None


def _is_error(head: Head) -> bool:
    return head.id is None and not isinstance(head.error, UnsetType)


def _found(resource: Resource, body: bytes, head: Head, context: Context) -> Found | Unrecognised:
    thread_id = _text(head.thread_id) or context.thread_id
    run_id = (_text(head.run_id) or context.run_id) if resource == "steps" else None
    object_id = _text(head.id)
    noun = resource.removesuffix("s")
    if object_id is None:
        return Unrecognised(context.where, f"a {noun} without an id")
    if resource == "steps" and run_id is None:
        return Unrecognised(context.where, "a step that does not say of which run")
    if thread_id is None:
        return Unrecognised(context.where, f"a {noun} that does not say of which thread")
    return Found(resource, object_id, thread_id, run_id, body, head, context)


def _read_recording(log: Raw, context: Context) -> Iterator[Content]:
    try:
        entries = msgspec.json.decode(log, type=_Log).entries
    except msgspec.DecodeError as error:
        yield Unrecognised(f"{context.where}.log", f"no HTTP recording ({error})")
        return
    for index, entry in enumerate(entries):
        yield from _read_object(bytes(entry), replace(context, where=f"{context.where}.log.entries[{index}]"))


def _read_exchange(head: Head, context: Context) -> Iterator[Content]:
    """One request with its answer, as HTTP recordings have them."""
    try:
        request = msgspec.json.decode(_raw(head.request), type=_Request)
        response = msgspec.json.decode(_raw(head.response), type=_Response)
        url = urlsplit(request.url)
    except msgspec.DecodeError as error:
        yield Unrecognised(context.where, f"no HTTP exchange ({error})")
        return
    except ValueError:
        yield Unrecognised(context.where, "no HTTP exchange (its URL cannot be read)")
        return
    match = _PATH.search(url.path)
    if match is None or response.status >= _HTTP_ERROR or not response.status:
        yield LeftOut(context.where)
        return
    body = _body_of(response.content)
    if not body:
        yield Unrecognised(context.where, "an answer that was recorded without its content")
        return
    is_steps = match["steps"] is not None
    within = replace(
        context,
        where=f"{context.where}.response",
        thread_id=_unquoted(match["thread"]),
        run_id=_unquoted(match["run"]) if is_steps else None,
        resource="steps" if is_steps else "runs",
        order="asc" if parse_qs(url.query).get("order") == ["asc"] else "desc",
        seen_at=_parse_instant(head.startedDateTime),
    )
    if response.content is not None and (response.content.mimeType or "").startswith("text/event-stream"):
        yield from _read_events(body, replace(within, order=None))
    else:
        yield from _read_value(body, within)


def _read_events(body: bytes, context: Context) -> Iterator[Content]:
    for number, line in enumerate(body.splitlines(), 1):
        if line.startswith(b"data:") and (data := line.removeprefix(b"data:").strip()) != b"[DONE]":
            yield from _read_value(data, replace(context, where=f"{context.where} line {number}"))


def _body_of(content: _Content | None) -> bytes | None:
    if content is None or content.text is None:
        return None
    if content.encoding == "base64":
        try:
            return base64.b64decode(content.text)
        except binascii.Error:
            return None
    return content.text.encode("utf-8", errors="replace")


def _parse_instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if instant is None else instant.replace(tzinfo=instant.tzinfo or UTC)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _raw(value: Raw | UnsetType) -> Raw:
    return Raw(b"null") if isinstance(value, UnsetType) else value


def _unquoted(segment: str | None) -> str | None:
    return None if segment is None else unquote(segment)
