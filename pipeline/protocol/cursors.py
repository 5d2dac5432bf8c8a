"""Walks along cursors to an honest end, or to an error that names what the server did."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from pipeline.errors import RequestError, WalkError
from pipeline.protocol.pages import Page
from pipeline.protocol.wire import ListHead

PAGE_LIMIT = 100
# A million items in one list: beyond any run or thread that was ever seen, so the server makes them up.
MAX_PAGES = 10_000
# Answers to a cursor that the server does not know (any more).
_CURSOR_REFUSED = frozenset({400, 404, 422})


class ListAnswer(Struct, frozen=True):
    """One page of a list: what landed of it and what the pager needs of it."""

    page: Page
    head: ListHead


class Ask(Struct, frozen=True):
    """What to ask a list for."""

    page_index: int
    after: str | None
    limit: int = PAGE_LIMIT
    order: Literal["asc", "desc"] = "asc"


Fetch = Callable[[Ask], Awaitable[ListAnswer]]


@dataclass(slots=True)
class ListWalk:
    """A walk so far: its pages and ids in order, and once it ended well, how.

    `ended_by`: has_more_false, empty_page (a server that never says has_more), whole_answer (one that ignores limit
    and cursor and answers everything at once).
    """

    after: str | None = None
    pages: list[Page] = field(default_factory=list)
    heads: list[ListHead] = field(default_factory=list)
    ids: dict[str, None] = field(default_factory=dict)
    ended_by: str | None = None

    @property
    def items(self) -> int:
        """Distinct items; those without a usable id count one by one."""
        return len(self.ids) + sum(usable_id(item.id) is None for head in self.heads for item in head.data)

    def forget(self) -> None:
        """Start over from the first cursor."""
        self.pages.clear()
        self.heads.clear()
        self.ids.clear()


def usable_id(value: object) -> str | None:
    """The value if it can serve as an id or a cursor."""
    return value if isinstance(value, str) and value else None


async def walk_list(fetch: Fetch, walk: ListWalk, *, max_pages: int = MAX_PAGES, whole_lists: bool = False) -> None:
    """Fetch pages into `walk`, which starts after `walk.after`, until the server's list has honestly ended.

    Raises WalkError when the paging cannot be trusted and lets RequestError pass; `walk` then holds what came
    before. A cursor that the server refuses in the middle (it expired, its item was deleted) starts the walk over once.
    `whole_lists`: the server is known to answer lists whole, where no answer of its own can show it.
    """
    restarted = False
    cursors = {walk.after}
    cursor = walk.after
    while walk.ended_by is None:
        try:
            answer = await fetch(Ask(len(walk.pages), cursor))
        except RequestError as error:
            if not walk.pages or restarted or error.status not in _CURSOR_REFUSED:
                raise
            restarted, cursor, cursors = True, walk.after, {walk.after}
            walk.forget()
            continue
        if _repeats_without_has_more(walk, answer.head):
            await _prove_whole(fetch, walk, cursor, whole_lists=whole_lists)
            return
        _check_repeats(walk, answer.head)
        new_ids = _take_page(walk, answer)
        cursor = _next_cursor(walk, answer.head, new_ids, max_pages=max_pages)
        if cursor in cursors and walk.ended_by is None:
            raise WalkError(f"page {len(walk.pages)} leads back to a cursor that was used before")
        cursors.add(cursor)


def _check_repeats(walk: ListWalk, head: ListHead) -> None:
    """Refuse a page that repeats items from the middle of what came before: its cursor is no place in the list.

    A server that sorts by time and compares ids (open-assistant-api) skips items that way. One that repeats the last
    few items, because something was inserted or by habit, is honest.
    """
    repeated = [item_id for item in head.data if (item_id := usable_id(item.id)) in walk.ids and item_id]
    if not repeated or (len(repeated) == len(head.data) and head.has_more is not False):
        return
    if list(dict.fromkeys(repeated)) != list(walk.ids)[-len(set(repeated)) :]:
        raise WalkError(
            f"page {len(walk.pages) + 1} repeats items that do not come last before it: the cursor is not a place in"
            " the order of the list, items may be skipped"
        )


def _take_page(walk: ListWalk, answer: ListAnswer) -> int:
    """Add the page to the walk; how many ids were new."""
    before = len(walk.ids)
    walk.pages.append(answer.page)
    walk.heads.append(answer.head)
    walk.ids.update((item_id, None) for item in answer.head.data if (item_id := usable_id(item.id)))
    return len(walk.ids) - before


def _next_cursor(walk: ListWalk, head: ListHead, new_ids: int, *, max_pages: int) -> str | None:
    """The cursor of the next page, or None when the walk has ended (`ended_by` is set)."""
    number = len(walk.pages)
    if head.has_more is False:
        walk.ended_by = "has_more_false"
    elif not head.data and head.has_more:
        raise WalkError(f"page {number} is empty but says has_more")
    elif not head.data:
        walk.ended_by = "empty_page"
    if walk.ended_by is not None:
        return None
    if not new_ids:
        raise WalkError(f"page {number} has only items of earlier pages: the cursor is ignored or goes in a circle")
    if number >= max_pages:
        raise WalkError(f"no end after {number} pages")
    # OpenAI's client pages by the last item, Azure's by last_id; where they differ the item is what was really sent.
    cursor = usable_id(head.data[-1].id) or usable_id(head.last_id)
    if cursor is None:
        raise WalkError(f"page {number} says there is more but has no usable cursor")
    return cursor


def _repeats_without_has_more(walk: ListWalk, head: ListHead) -> bool:
    """A server without has_more answered the first page again: it has no cursors."""
    return head.has_more is None and len(walk.heads) == 1 and bool(head.data) and _ids(head) == _ids(walk.heads[0])


async def _prove_whole(fetch: Fetch, walk: ListWalk, cursor: str | None, *, whole_lists: bool) -> None:
    """End the walk if its one answer is the whole list: the same under every limit, and from the other end.

    A server that cuts its answers shows other items from the other end. One that does not turn the order round, or has
    one item to turn, shows nothing: it is believed only if `whole_lists` says so.
    """
    ids = _ids(walk.heads[0])
    if _ids((await fetch(Ask(len(walk.pages), cursor, limit=1))).head) != ids:
        raise WalkError(
            "the server ignores the cursor and has no has_more: what comes after the first page cannot be had"
        )
    turned = _ids((await fetch(Ask(len(walk.pages), None, order="desc"))).head)
    if sorted(map(str, turned)) != sorted(map(str, ids)):
        raise WalkError("the server cuts its answers, ignores the cursor and has no has_more: the rest cannot be had")
    if turned == ids and not whole_lists:
        raise WalkError(
            "the server has no has_more and answers the same to every limit, cursor and order: nothing shows that this"
            " is the whole list. If it is known to answer lists whole, say whole_lists = true in its profile"
        )
    walk.ended_by = "whole_answer"


def _ids(head: ListHead) -> list[object]:
    return [item.id for item in head.data]
