"""What the envelope and the items of a list say of themselves: errors, instants, tokens, parents, order. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple, TypeGuard

from msgspec import field

from pipeline.protocol.json_text import decode_with, emptied_members
from pipeline.protocol.spellings import LATEST_MILLISECONDS, MILLISECONDS_ABOVE
from pipeline.protocol.wire import TERMINAL_STATUSES, ItemHead, ListHead
from pipeline.protocol.words import known_code, shown_id

ItemOrder = Literal["asc", "desc", "mixed"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_ERROR_STATUS = 400
_FAILED = frozenset({"error", "failed", "failure"})
_NOT_ALL = frozenset({"partial", "partial_success", "incomplete", "truncated", "degraded", "timeout", "timed_out"})
# What a list may say of itself; where it is whole it says nothing, or one of these words.
REMARKS = ListHead.__struct_fields__[ListHead.__struct_fields__.index("status") :]
_SAID_WHERE_TRUE = frozenset({"success", "complete", "is_complete"})
_NOTHING_WRONG = frozenset({"", "ok", "okay", "success", "successful", "succeeded", "none", "null", "no", "false", "0"})
_SHOWN_SIGNS = 80
_DATA, _LAST_BYTES = b'"data"', 512

TOTALS = ("total", "total_count", "count")


class _Envelope(ListHead, gc=False):
    """With the words that other protocols have for a list that goes on."""

    next: object = None
    next_cursor: object = None
    next_page: object = None
    next_page_token: object = None
    next_token: object = None
    next_link: object = None
    next_url: object = None
    has_next: object = None
    more: object = None
    continuation_token: object = None
    next_cursor_: object = field(default=None, name="nextCursor")
    next_page_token_: object = field(default=None, name="nextPageToken")
    next_token_: object = field(default=None, name="nextToken")
    next_link_: object = field(default=None, name="nextLink")
    odata_: object = field(default=None, name="@odata.nextLink")
    has_next_: object = field(default=None, name="hasNext")
    has_more_: object = field(default=None, name="hasMore")


# As they are sent, with the names that they have here.
_MORE = {
    sent: name
    for name, sent in zip(_Envelope.__struct_fields__, _Envelope.__struct_encode_fields__, strict=True)
    if name not in ListHead.__struct_fields__
}
GOES_ON = frozenset(_MORE)
_decode_envelope = decode_with(_Envelope, "a list of the protocol")


def decode_list(body: bytes) -> ListHead:
    """The head of a list. Raises ValueError for what is none, and for one that tells of an error."""
    head = _decode_envelope(body)
    # A second list shows in the last bytes if it is empty, or nearly: to look through all costs more than to decode.
    begin = max(body.find(_DATA) + len(_DATA), len(body) - _LAST_BYTES)
    if body.find(_DATA, begin) >= 0 and "data" in emptied_members(body):
        raise ValueError("data stands in it twice, the last time empty")
    if fault := _error_of(head):
        raise ValueError(f"with an error ({fault}) beside a list of {len(head.data):,} items")
    return head


@dataclass(frozen=True, slots=True)
class ListReader:
    """Lists of one server: `odd_fields` are what it always says and means nothing, `quotes` whether it is repeated."""

    odd_fields: frozenset[str] = frozenset()
    quotes: bool = True

    def decode(self, body: bytes) -> ListHead:
        """The head of a list. Raises ValueError as `decode_list`, and for an empty one with a remark beside it."""
        head = decode_list(body)
        if not head.data and (doubt := self.doubt_of(head)):
            raise ValueError(f"an empty list that is doubtful: {doubt}")
        for name in self.odd_fields.intersection(TOTALS):
            setattr(head, name, None)
        heeded = (name for sent, name in _MORE.items() if sent not in self.odd_fields)
        if head.has_more is False and any(getattr(head, name) for name in heeded):
            # It says both: what is behind it shows which holds.
            head.has_more = None
        return head

    def doubt_of(self, head: ListHead) -> str | None:
        """What a list says of itself that speaks against its being whole, with what to do about it."""
        return self.doubt_in({name: value for name in REMARKS if (value := getattr(head, name)) is not None})

    def doubt_in(self, said: Mapping[str, object]) -> str | None:
        """The same of what stands beside its items, by name."""
        for name, value in said.items():
            if name in REMARKS and name not in self.odd_fields and _is_remark(name, value):
                text = json.dumps(value, default=str) if self.quotes else _published(value)
                shown = text if len(text) <= _SHOWN_SIGNS else f"{text[:_SHOWN_SIGNS]}..."
                return f'it says {name}: {shown}; where that means nothing: odd_fields = ["{name}"] in the profile'
        return None


def told_total(head: ListHead) -> int | None:
    """How many items a page says that its list has, the most where it says so twice."""
    return max((value for name in TOTALS if _is_count(value := getattr(head, name))), default=None)


def usable_id(value: object) -> str | None:
    """The value if it can serve as an id or a cursor; some servers number theirs, and are asked with the digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def seconds_of(value: object) -> float | None:
    """An instant of the protocol in seconds; None if it is unset or no instant."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST_MILLISECONDS:
        return None
    return value / 1000 if value > MILLISECONDS_ABOVE else float(value)


def ended_at(item: ItemHead) -> datetime | None:
    """When a run ended, by its own word."""
    values = (item.completed_at, item.failed_at, item.cancelled_at)
    seconds = next((found for value in values if (found := seconds_of(value)) is not None), None)
    return None if seconds is None else _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))


# How a response and a turn call the same tokens.
_OF_SUCCESSORS = {"prompt": "input", "completion": "output", "total": "total"}


class Tokens(NamedTuple):
    """What a usage says, where it is said."""

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None


def tokens_of(item: ItemHead) -> Tokens:
    """The tokens that an item says it took; the total is that of its parts where it is not said."""
    usage = item.usage if isinstance(item.usage, dict) else {}
    said = [usage.get(f"{name}_tokens", usage.get(f"{_OF_SUCCESSORS[name]}_tokens")) for name in Tokens._fields]
    prompt, completion, total = (value if _is_count(value) else None for value in said)
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    return Tokens(prompt, completion, total)


def is_settled(status: str | None, tokens: Tokens, steps: Sequence[ItemHead]) -> bool:
    """Whether an ended run and its steps say all that they will: no step is open, and usage is there and adds up."""
    if any(isinstance(step.status, str) and step.status not in TERMINAL_STATUSES for step in steps):
        return False
    if tokens == Tokens():
        return status != "completed"
    sums = [sum(value or 0 for value in values) for values in zip(*map(tokens_of, steps), strict=True)] or [0, 0, 0]
    return all(own is None or own == of_steps for own, of_steps in zip(tokens, sums, strict=True))


def falls_short(tokens: Tokens, steps: Iterable[ItemHead]) -> bool:
    """Whether steps took less than their run says."""
    return tokens.total is not None and sum(tokens_of(step).total or 0 for step in steps) < tokens.total


def order_of(items: Iterable[ItemHead]) -> ItemOrder | None:
    """How a list stands by its instants of creation; None where they do not tell."""
    times = [seconds for item in items if (seconds := seconds_of(item.created_at)) is not None]
    rises = any(later > earlier for earlier, later in pairwise(times))
    falls = any(later < earlier for earlier, later in pairwise(times))
    if rises and falls:
        return "mixed"
    return "asc" if rises else "desc" if falls else None


def foreign_parent(item: ItemHead, *, thread_id: str, run_id: str | None) -> str | None:
    """What an item says that it belongs to, if that is not what was asked for; without a run the item is a run."""
    if run_id is not None and usable_id(item.run_id) not in (None, run_id):
        return f"run {shown_id(str(item.run_id))}"
    if (parent := parent_of(item)) is not None and parent[1] != thread_id:
        return f"{parent[0]} {shown_id(parent[1])}"
    return None


def parent_of(item: ItemHead) -> tuple[str, str] | None:
    """The thread, conversation or session that an item says that it belongs to, and which of these it is."""
    conversation = item.conversation.get("id") if isinstance(item.conversation, dict) else item.conversation
    for kind, value in (("thread", item.thread_id), ("conversation", conversation), ("session", item.session_id)):
        if (parent := usable_id(value)) is not None:
            return kind, parent
    return None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _error_of(head: ListHead) -> str | None:
    """The error that an envelope tells of; of its words only a published code, for texts may be a customer's.

    What says only that something is wrong is believed of an empty list alone.
    """
    said = next((said for said in (head.error, head.errors) if _says_something(said)), None)
    if said is not None:
        named = [said.get("code"), said.get("type")] if isinstance(said, dict) else []
        return next((word for word in named if isinstance(word, str) and known_code(word)), "error")
    if head.kind == "error":
        return "object: error"
    return None if head.data else _failure_of(head)


def _failure_of(head: ListHead) -> str | None:
    numbers = [value for value in (head.code, head.status) if _is_count(value) and value >= _LEAST_ERROR_STATUS]
    if numbers:
        return f"code {numbers[0]}"
    if isinstance(head.status, str) and head.status.lower() in _FAILED:
        return f"status: {head.status.lower()}"
    return "success: false" if head.success is False else None


def _is_remark(name: str, value: object) -> bool:
    """Whether this beside a list speaks against its being whole."""
    if name in _SAID_WHERE_TRUE:
        return value is False or (isinstance(value, str) and value.strip().lower() == "false")
    if name == "code":
        return _is_count(value) and value >= _LEAST_ERROR_STATUS
    if name == "status":
        if isinstance(value, str):
            return value.strip().lower() in _FAILED | _NOT_ALL
        return _is_count(value) and value >= _LEAST_ERROR_STATUS
    return _says_something(value)


def _says_something(value: object) -> bool:
    """Whether anything in a value is more than nothing: null, false, 0, no text, or a word that all is well."""
    if isinstance(value, dict):
        return any(map(_says_something, value.values()))
    if isinstance(value, list):
        return any(map(_says_something, value))
    if isinstance(value, str):
        return value.strip(" .!").lower() not in _NOTHING_WRONG
    return bool(value)


def _published(value: object) -> str:
    """A value without words of anybody: published codes and what is no text."""
    if isinstance(value, str):
        return known_code(value) or "a text"
    return json.dumps(value) if isinstance(value, bool | int | float) else "an object or a list"
