"""The head of a JSON object: the few fields that tell what it is, in whatever spelling; the rest is not looked at."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from pipeline.protocol.json_text import drop_huge_numbers, repair_json, unmask_numbers
from pipeline.protocol.pages import Resource
from pipeline.protocol.spellings import snake_case, with_own_names

_OBJECTS: dict[str, Resource] = {"thread.run": "runs", "thread.run.step": "steps"}


class Head(Struct, gc=False):
    """What tells what a JSON object is, whose it is, and how new; `data` and `log` are there when it holds others."""

    id: Any = None
    object: Any = None
    run_id: Any = None
    thread_id: Any = None
    assistant_id: Any = None
    status: Any = None
    role: Any = None
    created_at: Any = None
    started_at: Any = None
    completed_at: Any = None
    failed_at: Any = None
    cancelled_at: Any = None
    expired_at: Any = None
    has_more: Any = None
    usage: Raw | UnsetType = UNSET
    step_details: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    log: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    request: Raw | UnsetType = UNSET
    response: Raw | UnsetType = UNSET
    type: Any = None
    custom_id: Any = None
    session_id: Any = None
    turn_id: Any = None
    response_id: Any = None
    call_id: Any = None
    output: Raw | UnsetType = UNSET
    conversation: Raw | UnsetType = UNSET
    interactions: Raw | UnsetType = UNSET
    http_interactions: Raw | UnsetType = UNSET
    # Names in HAR, and in what VCR writes.
    startedDateTime: Any = None  # noqa: N815
    recorded_at: Any = None


# Other objects of the protocol: known, and not what we keep.
_OTHER_OBJECTS = re.compile(
    r"thread(\.message(\.\w+)*|\.run\.step\.delta|\.deleted)?|assistant(\.\w+)*|file|vector_store(\.\w+)*|model"
    r"|conversation(\.\w+)*|response\.\w+|agent(\.\w+)*|event|batch|container(\.\w+)*|chat\.completion(\.\w+)*"
)
NO_VALUES = frozenset((b"null", b"false", b"0", b'""', b"{}", b"[]"))
_HEAD_NAMES = frozenset(Head.__struct_fields__)


NOT_UNICODE = "bytes that are not UTF-8: U+FFFD stands in their place"


def read_head(body: bytes, *, is_owned: bool) -> Head:
    """The head of a masked object; with `is_owned` its place tells whose it is.

    Raises msgspec.DecodeError.
    """
    head: Head = decode_masked(body, Head)
    # The protocol's own names tell whose an object is, or the request does.
    if head.thread_id is None and (not is_owned or head.id is None):
        named, notes = with_own_names(fields_of(body), _HEAD_NAMES)
        if notes:
            head = decode_masked(join_raw(named), Head)
            head.status = snake_case(head.status) if isinstance(head.status, str) else head.status
    return head


def is_error(head: Head) -> bool:
    """Whether an object is the answer to a request that was refused."""
    return head.id is None and has_error(head)


def has_error(head: Head) -> bool:
    """Whether an object speaks of an error."""
    return not isinstance(head.error, UnsetType) and bytes(head.error).strip() not in NO_VALUES


def is_other_object(head: Head) -> bool:
    """Whether an object is one of the protocols that nobody keeps: a message, a file, a piece of a stream."""
    return isinstance(head.object, str) and _OTHER_OBJECTS.fullmatch(head.object) is not None


def is_exchange(head: Head) -> bool:
    """Whether an object is a request with its answer."""
    return not isinstance(head.request, UnsetType) and not isinstance(head.response, UnsetType)


def fields_of(body: bytes) -> dict[str, Raw]:
    """The fields of a masked object as they were sent."""
    fields: dict[str, Raw] = decode_masked(body, dict[str, Raw], is_raw=True)
    return fields


def join_raw(fields: Mapping[str, Raw]) -> bytes:
    """An object of fields as they were sent."""
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"


def decode_masked(body: bytes, kind: Any, *, is_raw: bool = False) -> Any:
    """A masked body as that; where it is not Unicode, repaired."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        repaired = repair_json(body if is_raw else unmask_numbers(body))
        return msgspec.json.decode(repaired if is_raw else drop_huge_numbers(repaired), type=kind)


def is_unicode(body: bytes) -> bool:
    """Whether all of a text is UTF-8."""
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_or_none(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def raw_or_null(value: Raw | UnsetType) -> Raw:
    """A field as sent, null where there is none."""
    return Raw(b"null") if isinstance(value, UnsetType) else value


def resource_of(head: Head, listed_as: Resource | None, *, is_search: bool) -> Resource | None:
    """Whether that is a run or a step: by what it says of itself, else by the list it stands in, else by its fields."""
    if isinstance(head.object, str) and head.object:
        return _OBJECTS.get(head.object)
    if not isinstance(head.data, UnsetType) or not isinstance(head.log, UnsetType) or is_error(head):
        return None
    if not isinstance(head.step_details, UnsetType):
        return "steps"
    if isinstance(head.id, str) and head.id and not isinstance(head.role, str):
        if listed_as is not None:
            return listed_as
        if isinstance(head.run_id, str):
            return None if is_search else "steps"
        if isinstance(head.assistant_id, str) and isinstance(head.thread_id, str) and isinstance(head.status, str):
            return "runs"
    return None
