"""Items of one walk put together: the calls of a response or a turn in their order, each with its output."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from pipeline.protocol.item_types import ANSWERS, base_of, is_call, is_output
from pipeline.protocol.json_text import decode_fields, decode_text
from pipeline.protocol.spellings import in_own_style

_NULL = Raw(b"null")


@dataclass(slots=True)
class Item:
    """An item as sent; fields that are null are left out, for they say nothing. `turn_id` is the turn that it is of."""

    type: str
    fields: dict[str, Raw]
    turn_id: str | None = None
    page_index: int = 0
    # Fields that were read as texts already, by name.
    texts: dict[str, str | None] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """A field that is a text and not empty."""
        if name not in self.texts:
            raw = bytes(self.fields.get(name, b""))
            self.texts[name] = decode_text(raw) if raw.startswith(b'"') else None
        return self.texts[name] or None

    @property
    def body(self) -> bytes:
        """All that it says."""
        return b"".join(bytes(raw) for raw in self.fields.values())

    @property
    def call_id(self) -> str | None:
        """What a call and its output have in common. Of a local shell's output it is the id."""
        own = self.text("call_id")
        return self.text("id") if own is None and self.type == "local_shell_call_output" else own


@dataclass(slots=True)
class Joined:
    """The calls of a run, each with its output if there is one, and what else it has."""

    calls: list[tuple[Item, Item | None]] = field(default_factory=list)
    others: list[Item] = field(default_factory=list)


class Pool:
    """Items of a walk that belong to no run yet: outputs wait for their calls, answers for what they answer."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._outputs: dict[tuple[str, str | None], deque[Item]] = {}
        self._answers: dict[tuple[str, str | None], deque[Item]] = {}
        waiting = [(key, item) for item in items if (key := _key(item)) is not None]
        times = Counter(key for key, _ in waiting)
        seen: set[bytes] = set()
        for key, item in waiting:
            if times[key] > 1:
                # A chain repeats what came before it.
                if item.body in seen:
                    continue
                seen.add(item.body)
            held = self._outputs if is_output(item.type) else self._answers
            held.setdefault(key, deque()).append(item)

    def take_output(self, call: Item) -> Item | None:
        """The output of a call, once."""
        return _take(self._outputs, (base_of(call.type), call.call_id))

    def take_answer(self, item: Item) -> Item | None:
        """What was answered to an item that asks for something, once."""
        for asked, _, own in ANSWERS.values():
            if item.type == asked:
                return _take(self._answers, (asked, item.text(own)))
        return None

    def left(self) -> list[Item]:
        """What nobody has taken."""
        return [item for held in (self._outputs, self._answers) for items in held.values() for item in items]


def _key(item: Item) -> tuple[str, str | None] | None:
    """What an output or an answer waits for; nothing else waits for anybody."""
    if is_output(item.type):
        return base_of(item.type), item.call_id
    if item.type in ANSWERS:
        asked, name, _ = ANSWERS[item.type]
        return asked, item.text(name)
    return None


def join_items(items: Sequence[Item], around: Pool) -> Joined:
    """Calls of a run's own items with their outputs: from these, else from what is around them, by the call's id.

    Where a call has no id, as of tools that the server runs itself, the outputs follow in the order of the calls.
    """
    own = Pool(items)
    found = Joined()
    for item in items:
        if is_call(item.type):
            found.calls.append((item, own.take_output(item) or (around.take_output(item) if item.call_id else None)))
        elif not is_output(item.type) and item.type not in ANSWERS:
            found.others.append(item)
            if answer := own.take_answer(item) or around.take_answer(item):
                found.others.append(answer)
    # An output without its call tells what was called all the same.
    found.others += own.left()
    return found


def item_of(raw: Raw) -> Item | None:
    """An item as sent; None for what is no object."""
    try:
        return item_of_fields(decode_fields(raw))
    except msgspec.DecodeError:
        return None


def item_of_fields(fields: Mapping[str, Raw]) -> Item:
    """The same of an object that was taken apart already."""
    kept = in_own_style({name: value for name, value in fields.items() if value != _NULL})
    item = Item("", kept)
    # Of messages the short form has no type.
    item.type = item.text("type") or ("message" if "role" in kept else "")
    return item


def in_order(items: Sequence[Item]) -> Sequence[Item]:
    """Items as they came about: a list that has outputs before their calls is one that begins with the newest."""
    called: set[tuple[str, str]] = set()
    answered: set[tuple[str, str]] = set()
    early = late = 0
    for item in items:
        has_output = is_output(item.type)
        if not (has_output or is_call(item.type)) or (call_id := item.call_id) is None:
            continue
        key = base_of(item.type), call_id
        if has_output:
            answered.add(key)
            early, late = early + (key not in called), late + (key in called)
        else:
            called.add(key)
    # Outputs whose call is nowhere in the list say nothing.
    early -= len(answered - called)
    if early == late:
        # What was asked stands before what was done.
        return items[::-1] if _is_asked(items[-1:]) and not _is_asked(items[:1]) else items
    return items[::-1] if early > late else items


def _is_asked(items: Sequence[Item]) -> bool:
    """Whether this is what a person said."""
    return any(item.text("role") == "user" for item in items)


def _take(held: dict[tuple[str, str | None], deque[Item]], key: tuple[str, str | None]) -> Item | None:
    waiting = held.get(key)
    return waiting.popleft() if waiting else None
