"""What the emulator serves at the moment: ordered lists of objects, and pages cut from them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from pipeline.emulator.account.corpus import Corpus, Item, RunRecord

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a caller asked of a list."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None
    with_content: bool = False


@dataclass(slots=True)
class Page:
    """A page before it is encoded. A `single` page is one object without an envelope."""

    bodies: list[bytes]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False
    single: bool = False
    omitted: set[str] = field(default_factory=set)

    def encode(self) -> bytes:
        """The page as the JSON text that is sent."""
        if self.single:
            return self.bodies[0]
        ends: dict[str, object] = {
            "first_id": self.first_id,
            "last_id": self.last_id,
            "has_more": self.has_more,
        }
        tail = b"".join(
            b',"' + name.encode() + b'":' + msgspec.json.encode(ends[name]) for name in ends if name not in self.omitted
        )
        return b'{"object":"list","data":[' + b",".join(self.bodies) + b"]" + tail + b"}"


class UnknownCursorError(Exception):
    """A cursor that names no object of the list."""

    def __init__(self, parameter: str, object_id: str) -> None:
        super().__init__(parameter, object_id)
        self.parameter = parameter
        self.object_id = object_id


class ItemList:
    """Objects in the server's ascending order."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = list(items)
        self._positions: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def find(self, object_id: str) -> Item | None:
        """The object with this id."""
        position = self.locate(object_id)
        return None if position is None else self._items[position]

    def locate(self, object_id: str) -> int | None:
        """The ordinal of the object with this id."""
        if self._positions is None:
            self._positions = {item.object_id: position for position, item in enumerate(self._items)}
        return self._positions.get(object_id)

    def insert(self, item: Item, position: int | None = None) -> None:
        """Put an object before the one at `position`, or last."""
        self._items.insert(len(self._items) if position is None else position, item)
        self._positions = None

    def delete(self, object_id: str) -> bool:
        """Take an object out; False when it is not there."""
        position = self.locate(object_id)
        if position is None:
            return False
        del self._items[position]
        self._positions = None
        return True

    def copy_item(self, position: int) -> Item:
        """The object at this ordinal, counted from the end when negative."""
        return self._items[position]

    def cut(self, query: PageQuery) -> Page:
        """The page that an honest server answers; `before` alone gives the page next to that object."""
        start, stop = self._find_bounds(query)
        from_far_end = query.before is not None and query.after is None
        if (query.order == "asc") != from_far_end:
            chosen = self._items[start : min(stop, start + query.limit)]
        else:
            chosen = self._items[max(start, stop - query.limit) : stop]
        has_more = stop - start > query.limit
        return make_page(chosen if query.order == "asc" else chosen[::-1], query, has_more=has_more)

    def cut_at(self, query: PageQuery, offset: int) -> Page:
        """The page that starts `offset` objects into the list in the asked order, whatever the cursor."""
        ordered = self._items if query.order == "asc" else self._items[::-1]
        return make_page(ordered[offset : offset + query.limit], query, has_more=len(ordered) > offset + query.limit)

    def count_before(self, query: PageQuery) -> int:
        """How many objects come, in the asked order, before the page that this query asks for."""
        start, stop = self._find_bounds(query)
        return start if query.order == "asc" else len(self._items) - stop

    def _find_bounds(self, query: PageQuery) -> tuple[int, int]:
        after = self._locate_cursor("after", query.after)
        before = self._locate_cursor("before", query.before)
        low, high = (after, before) if query.order == "asc" else (before, after)
        start = 0 if low is None else low + 1
        stop = len(self._items) if high is None else high
        return start, max(start, stop)

    def _locate_cursor(self, parameter: str, object_id: str | None) -> int | None:
        if object_id is None:
            return None
        position = self.locate(object_id)
        if position is None:
            raise UnknownCursorError(parameter, object_id)
        return position


def make_page(items: list[Item], query: PageQuery, *, has_more: bool) -> Page:
    """A page of these objects in this order."""
    page = Page([choose_body(item, query.with_content) for item in items], has_more=has_more)
    if items:
        page.first_id = items[0].object_id
        page.last_id = items[-1].object_id
    return page


def choose_body(item: Item, with_content: bool) -> bytes:
    """The JSON of an object, with the content of file search results only on request."""
    if with_content and item.body_with_content is not None:
        return item.body_with_content
    return item.body


class Store:
    """The lists of one account: its threads, the runs of each thread, the steps of each run."""

    def __init__(self, corpus: Corpus, phase: int = 0) -> None:
        self._corpus = corpus
        self._inserted = 0
        self.advance_to(phase)

    def advance_to(self, phase: int) -> None:
        """Serve the given phase from now on; insertions and deletions are forgotten."""
        threads = self._corpus.threads_at(phase)
        self.phase = phase
        self.threads = ItemList(thread.item for thread in threads)
        self.runs = {thread.item.object_id: ItemList(run.item for run in thread.runs) for thread in threads}
        self._records: dict[str, RunRecord] = {run.item.object_id: run for thread in threads for run in thread.runs}
        self._steps: dict[str, ItemList] = {}

    def list_steps(self, run_id: str) -> ItemList:
        """The steps of a run."""
        steps = self._steps.get(run_id)
        if steps is None:
            record = self._records.get(run_id)
            steps = self._steps[run_id] = ItemList(record.steps if record else ())
        return steps

    def insert_copy(self, items: ItemList, position: int | None) -> str:
        """Insert a copy of the newest object under a new id and return that id."""
        if not len(items):
            raise LookupError("the list is empty, there is nothing to copy")
        self._inserted += 1
        template = items.copy_item(-1)
        new_id = f"{template.object_id.partition('_')[0]}_inserted{self._inserted:016d}"
        body = template.body.replace(template.object_id.encode(), new_id.encode())
        items.insert(Item(new_id, body), position)
        return new_id
