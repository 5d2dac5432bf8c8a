"""What the envelope and the items of a list say of themselves: errors, instants, tokens, parents, order. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple, TypeGuard

from pipeline.protocol.json_text import decode_with
from pipeline.protocol.spellings import LATEST_MILLISECONDS, MILLISECONDS_ABOVE
from pipeline.protocol.wire import TERMINAL_STATUSES, ItemHead, ListHead
from pipeline.protocol.words import known_code, shown_id

ItemOrder = Literal["asc", "desc", "mixed"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_ERROR_STATUS = 400
_FAILED = frozenset({"error", "failed", "failure"})

_decode_envelope = decode_with(ListHead, "a list of the protocol")


def decode_list(body: bytes) -> ListHead:
    """The head of a list. Raises ValueError for what is none, and for one that tells of an error."""
    head = _decode_envelope(body)
    if fault := _error_of(head):
        raise ValueError(f"with an error ({fault}) beside a list of {len(head.data):,} items")
    return head


def usable_id(value: object) -> str | None:
    """The value if it can serve as an id or a cursor."""
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
    conversation = item.conversation.get("id") if isinstance(item.conversation, dict) else item.conversation
    for kind, parent in (("thread", item.thread_id), ("conversation", conversation), ("session", item.session_id)):
        if usable_id(parent) not in (None, thread_id):
            return f"{kind} {shown_id(str(parent))}"
    return None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _error_of(head: ListHead) -> str | None:
    """The error that an envelope tells of; of its words only a published code, for texts may be a customer's.

    What says only that something is wrong is believed of an empty list alone.
    """
    said = head.error or head.errors
    if said:
        named = [said.get("code"), said.get("type")] if isinstance(said, dict) else []
        return next((word for word in named if isinstance(word, str) and known_code(word)), "error")
    if head.kind == "error":
        return "object: error"
    if head.data:
        return None
    numbers = [value for value in (head.code, head.status) if _is_count(value) and value >= _LEAST_ERROR_STATUS]
    if numbers:
        return f"code {numbers[0]}"
    if isinstance(head.status, str) and head.status.lower() in _FAILED:
        return f"status: {head.status.lower()}"
    return "success: false" if head.success is False else None
