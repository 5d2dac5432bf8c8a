"""Items of landed pages, decoded; what of them cannot be read becomes rejects."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw

from pipeline.flatten.salvage import Reject, find_emptied, salvage
from pipeline.protocol.json_text import repair_json, repair_numbers
from pipeline.protocol.pages import LandedWalk, Page
from pipeline.protocol.wire import RawPage, Run, RunsPage, Step, StepsPage

# item_index of a reject that speaks of the whole page
WHOLE_PAGE = -1

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DECODERS: dict[type, Any] = {Step: msgspec.json.Decoder(StepsPage), Run: msgspec.json.Decoder(RunsPage)}
_RAW_DECODER = msgspec.json.Decoder(RawPage)

W = TypeVar("W", Run, Step)


@dataclass(slots=True)
class Items(Generic[W]):
    """Objects of many walks in parallel lists: what they are and where they stood."""

    objects: list[W] = field(default_factory=list)
    walks: list[LandedWalk] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    positions: list[int | None] = field(default_factory=list)


@dataclass(slots=True)
class RejectRows:
    """Column lists of the table `rejects`."""

    columns: dict[str, list[Any]]
    counts: Counter[tuple[str, int, int]] = field(default_factory=Counter)

    def add(
        self, walk: LandedWalk, page: Page, item_index: int, object_id: str | None, found: Sequence[Reject]
    ) -> None:
        """Rows for what one item lost."""
        item = (walk.walk_id, page.page_index, item_index)
        for reject in found:
            reject_index = self.counts[item]
            self.counts[item] += 1
            row = (
                walk.walk_id,
                page.page_index,
                item_index,
                reject_index,
                walk.source,
                walk.certificate.resource,
                walk.certificate.thread_id,
                walk.certificate.run_id,
                object_id,
                reject.reason,
                reject.json_path,
                reject.found,
            )
            for column, value in zip(self.columns.values(), row, strict=True):
                column.append(value)


def read_items(walks: Sequence[LandedWalk], kind: type[W], rejects: RejectRows) -> Items[W]:
    """Objects of all walks in order; what could not be read of them, or is of another list, is added to `rejects`."""
    items: Items[W] = Items()
    for walk in walks:
        # Where an archive has a run says nothing of its place in the thread.
        is_placed = kind is Step or walk.certificate.verdict != "imported"
        first = position = walk.certificate.first_index
        begin = len(items.objects)
        for page in walk.pages:
            found = _own_items(walk, page, _read_page(walk, page, kind, rejects), rejects)
            places = [index for index, item in enumerate(found) if item is not None]
            items.objects += [item for item in found if item is not None]
            items.walks += [walk] * len(places)
            items.pages += [page] * len(places)
            items.positions += [position + index if is_placed else None for index in places]
            position += len(found)
        if walk.certificate.item_order == "desc" and is_placed:
            # The server lists from the end whatever it is asked: places are those of the ascending list all the same.
            last = first + position - 1
            items.positions[begin:] = [None if place is None else last - place for place in items.positions[begin:]]
    return items


def _own_items(walk: LandedWalk, page: Page, items: Sequence[W | None], rejects: RejectRows) -> Sequence[W | None]:
    """The items without those that say that they belong to another list than was asked for."""
    thread_id, run_id = walk.certificate.thread_id, walk.certificate.run_id
    parents = [("thread_id", thread_id)] if run_id is None else [("run_id", run_id), ("thread_id", thread_id)]
    if all(getattr(item, name) in (None, "", asked) for item in items if item for name, asked in parents):
        return items
    own: list[W | None] = []
    for index, item in enumerate(items):
        named = next(
            (name for name, asked in parents if item is not None and getattr(item, name) not in (None, "", asked)), None
        )
        if item is None or named is None:
            own.append(item)
            continue
        reason = "it belongs to another list than was asked for: it is not kept"
        found = Reject(f"$.data[{index}].{named}", reason, getattr(item, named))
        rejects.add(walk, page, index, item.id, [found])
    return own


def _read_page(walk: LandedWalk, page: Page, kind: type[W], rejects: RejectRows) -> Sequence[W | None]:
    """The page's items in order, None where nothing of one could be read."""
    try:
        _check_utf8(page.body)
        decoded: Sequence[W] = _DECODERS[kind].decode(page.body).data
        if any(item.usage is None and item.status == "completed" for item in decoded):
            _note_emptied(walk, page, decoded, rejects)
        return decoded
    except _UNREADABLE:
        raws, notes = _split_page(walk, page, rejects)
    items: list[W | None] = []
    for item_index, raw in enumerate(raws):
        item, found = salvage(bytes(raw), kind, path=f"$.data[{item_index}]", notes=notes)
        rejects.add(walk, page, item_index, None if item is None else item.id, found)
        items.append(item)
    return items


def _note_emptied(walk: LandedWalk, page: Page, items: Sequence[Step] | Sequence[Run], rejects: RejectRows) -> None:
    """Add what items say and take back further on: a member that stands twice and is empty the last time."""
    if page.body.count(b'"usage"') <= len(items):
        return
    for index, raw in enumerate(_RAW_DECODER.decode(page.body).data):
        rejects.add(walk, page, index, items[index].id, find_emptied(bytes(raw), f"$.data[{index}]"))


def _split_page(walk: LandedWalk, page: Page, rejects: RejectRows) -> tuple[list[Raw], tuple[str, ...]]:
    """The items of a page, and what is to be noted of each of them."""
    body, notes = page.body, tuple[str, ...]()
    if (repaired := repair_numbers(body)) != body:
        body, notes = repaired, ("NaN as null",)
    try:
        _check_utf8(body)
        return _RAW_DECODER.decode(body).data, notes
    except _UNREADABLE as error:
        reason = str(error)
    try:
        raws = _RAW_DECODER.decode(repair_json(body)).data
        found = Reject("$", "text that is not Unicode: replaced by U+FFFD, see the raw page", "")
    except _UNREADABLE:
        raws = []
        found = Reject("$", reason, page.body.decode("utf-8", errors="replace"))
    rejects.add(walk, page, WHOLE_PAGE, None, [found])
    return raws, notes


def _check_utf8(body: bytes) -> None:
    """Raises UnicodeDecodeError. msgspec looks into no text that it takes as Raw or skips."""
    if not body.isascii():
        body.decode()
