"""Walks along cursors to an honest end, or to an error that names what the server did."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.errors import RequestError, WalkError
from pipeline.protocol.list_heads import told_total, usable_id
from pipeline.protocol.lists import PAGE_LIMIT, Ask, Fetch, ListAnswer, ListWalk, Trail
from pipeline.protocol.wire import ListHead

# Our limit, and those that servers have whatever limit they are asked for: 20 is the protocol's default.
USUAL_LIMITS = frozenset({10, 20, 25, 50, PAGE_LIMIT, 200, 250, 500, 1000})
# A million items in one list: beyond any run or thread that was ever seen, so the server makes them up.
MAX_PAGES = 10_000
_SKIPS = (
    "after an item the server goes on with another than the next one: its cursor skips items, at the edge of each page"
    " one at least is missing"
)
# Answers to a cursor that the server does not know (any more).
_CURSOR_REFUSED = frozenset({400, 404, 422})


@dataclass(slots=True)
class CursorProof:
    """Whether the list of a server goes on with the next item after one: asked once, of the first list of two pages.

    One that counts its cursors wrong leaves out an item at the edge of every page, and nothing else shows it.
    """

    skips: bool = False
    _questions: int = 3
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def check(self, fetch: Fetch, walk: ListWalk, *, by_last_id: bool = False) -> None:
        """Ask at the edge of the first page, where that has told nothing yet. Raises WalkError if the cursor skips."""
        async with self._asking:
            if self._questions and not self.skips:
                told = await (_skips_from_start(fetch, walk) if by_last_id else _skips(fetch, walk, 0))
                self.skips = told is True
                # What is refused tells nothing.
                self._questions = self._questions - 1 if told is None else 0
        if self.skips:
            raise WalkError(_SKIPS)

    async def check_edges(self, fetch: Fetch, walk: ListWalk) -> None:
        """Ask at the edge of each page of a list that is short of something. Raises WalkError if its cursor skips."""
        for number in range(len(walk.heads) - 1):
            if await _skips(fetch, walk, number):
                raise WalkError(_SKIPS)


async def _skips(fetch: Fetch, walk: ListWalk, number: int) -> bool | None:
    """Whether after the last item but one of a page comes another than the last one; None if that tells nothing."""
    ids = [item_id for item in walk.heads[number].data if (item_id := usable_id(item.id))]
    found = await _first_after(fetch, ids[-2], len(walk.pages)) if len(ids) > 1 else None
    if found is None or found in ids:
        return None if found is None else False
    known = list(walk.ids)
    place = known.index(ids[-2])
    return None if await _is_next(fetch, walk, known[place - 1] if place else walk.after, [ids[-2], found]) else True


async def _skips_from_start(fetch: Fetch, walk: ListWalk) -> bool | None:
    """The same where cursors are the server's own: a page of the first items alone names that of the next one."""
    ids = [usable_id(item.id) for item in walk.heads[0].data]
    count = next((n for n in range(1, len(ids)) if ids[n - 1] and ids[n] not in (None, ids[n - 1])), 0)
    head = (await fetch(Ask(len(walk.pages), None, limit=count))).head if count else None
    if head is None or [usable_id(item.id) for item in head.data] != ids[:count]:
        return None
    found = await _first_after(fetch, cursor, len(walk.pages)) if (cursor := usable_id(head.last_id)) else None
    if found is None or found in ids[count - 1 : count + 1]:
        return None if found is None else False
    return None if await _is_next(fetch, walk, None, [*ids[:count], found]) else True


async def _is_next(fetch: Fetch, walk: ListWalk, after: str | None, ids: Sequence[str | None]) -> bool:
    """Whether these follow each other now: then what stood between them was deleted meanwhile, and no cursor skips."""
    try:
        head = (await fetch(Ask(len(walk.pages), after, limit=len(ids)))).head
    except RequestError as error:
        if error.status not in _CURSOR_REFUSED:
            raise
        return False
    return [usable_id(item.id) for item in head.data[: len(ids)]] == list(ids)


async def _first_after(fetch: Fetch, item_id: str, page_index: int) -> str | None:
    try:
        head = (await fetch(Ask(page_index, item_id, limit=1))).head
    except RequestError as error:
        if error.status not in _CURSOR_REFUSED:
            raise
        return None
    return usable_id(head.data[0].id) if head.data else None


async def walk_list(
    fetch: Fetch,
    walk: ListWalk,
    *,
    proof: CursorProof | None = None,
    max_pages: int = MAX_PAGES,
    whole_lists: bool = False,
    by_last_id: bool = False,
    falls_short: Callable[[ListWalk], bool] = lambda _: False,
) -> None:
    """Fetch pages into `walk`, which starts after `walk.after`, until the server's list has honestly ended.

    Raises WalkError when the paging cannot be trusted and lets RequestError pass; `walk` then holds what came
    before. A cursor that the server refuses or forgets in the middle (it expired, its item was deleted) starts the walk
    over once. `whole_lists`: the server is known to answer lists whole, where no answer of its own can show it.
    `by_last_id`: the list's cursors are its last_id, which need be no item's id.
    `falls_short`: something else tells that there must be more than was walked. `proof` is of lists of this kind.
    """
    trail = Trail(walk.after, by_last_id=by_last_id)
    trail.begin(walk)
    while walk.ended_by is None:
        try:
            answer = await fetch(Ask(len(walk.pages), trail.cursor))
        except RequestError as error:
            if not walk.pages or error.status not in _CURSOR_REFUSED:
                raise
            if not trail.turn_to_last_id(walk) and not trail.start_over(walk):
                raise
            continue
        head = answer.head
        if walk.pages and _brings_nothing(walk, head) and trail.turn_to_last_id(walk):
            continue
        if _repeats_first_page(walk, head):
            await _prove_whole(fetch, walk, trail.cursor, whole_lists=whole_lists)
            break
        if not head.data and not head.has_more and not await _is_over(fetch, walk, trail):
            if not trail.start_over(walk):
                raise WalkError(
                    f"page {len(walk.pages) + 1} is empty, and so is what the server answers to the cursor before: it"
                    " does not know its own cursors, what comes after them cannot be had"
                )
            continue
        _check_repeats(walk, head)
        if proof is not None and len(walk.pages) == 1 and head.data and trail.by_last_id == by_last_id:
            await proof.check(fetch, walk, by_last_id=by_last_id)
        new_ids = _take_page(walk, answer)
        _end_or_follow(walk, trail, new_ids, max_pages=max_pages, asks_on=not whole_lists, falls_short=falls_short)
    if walk.doubts:
        raise WalkError(walk.doubts[0])
    _check_total(walk)
    if proof is not None and not trail.by_last_id and falls_short(walk):
        await proof.check_edges(fetch, walk)


def _check_total(walk: ListWalk) -> None:
    """Refuse a list that ends before as many items as it says that it has."""
    total = told_total(walk.heads[-1]) if walk.heads and walk.after is None else None
    if total is not None and total > walk.items:
        raise WalkError(
            f"it says that it has {total:,} items and ends after {walk.items:,}; where that number means something"
            " else: odd_fields in the profile names it (total, total_count, count)"
        )


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
    if answer.doubt is not None:
        walk.doubts.append(f"page {len(walk.pages)} may not be all: {answer.doubt}")
    walk.ids.update((item_id, None) for item in answer.head.data if (item_id := usable_id(item.id)))
    return len(walk.ids) - before


def _end_or_follow(
    walk: ListWalk,
    trail: Trail,
    new_ids: int,
    *,
    max_pages: int,
    asks_on: bool,
    falls_short: Callable[[ListWalk], bool],
) -> None:
    """Go on to the next page, or note how the walk has ended; `asks_on`: also where a full page says that it has."""
    head, number = walk.heads[-1], len(walk.pages)
    last_item, last_id = usable_id(head.data[-1].id) if head.data else None, usable_id(head.last_id)
    # OpenAI's client pages by the last item, Azure's by last_id; where they differ the item is what was really sent.
    cursor = last_id or last_item if trail.by_last_id else last_item or last_id
    if head.has_more is False:
        is_full = asks_on and number < max_pages and _is_full(walk)
        if cursor is None or not head.data or not (is_full or (new_ids and falls_short(walk))):
            walk.ended_by = "has_more_false"
    elif not head.data and head.has_more:
        raise WalkError(f"page {number} is empty but says has_more")
    elif not head.data:
        walk.ended_by = "empty_page"
    if walk.ended_by is not None:
        return
    if not new_ids:
        raise WalkError(f"page {number} has only items of earlier pages: the cursor is ignored or goes in a circle")
    if number >= max_pages:
        raise WalkError(f"no end after {number} pages")
    if cursor is None:
        raise WalkError(f"page {number} says there is more but has no usable cursor")
    trail.follow(cursor, number)


def _is_full(walk: ListWalk) -> bool:
    """Whether the last page is as long as the limit, as one that servers have of their own, or as the first page."""
    count = len(walk.heads[-1].data)
    is_as_long = len(walk.heads) > 1 and count == len(walk.heads[0].data)
    return count in USUAL_LIMITS or (is_as_long and count > min(USUAL_LIMITS))


async def _is_over(fetch: Fetch, walk: ListWalk, trail: Trail) -> bool:
    """Whether the list has ended with its last page, after which an empty one came.

    A cursor whose item is gone may be answered so as well. Where the last page did not say that it is the last, and is
    not short by itself, the cursor before must still lead to the last item, and to no other.
    """
    if not walk.heads or (trail.by_last_id and len(walk.heads) > 1):
        return True
    last, ids = walk.heads[-1], list(walk.ids)
    if last.has_more is False or (last.has_more is None and len(last.data) < min(USUAL_LIMITS)) or not ids:
        return True
    try:
        head = (await fetch(Ask(len(walk.pages), ids[-2] if len(ids) > 1 else walk.after))).head
    except RequestError as error:
        if error.status not in _CURSOR_REFUSED:
            raise
        return False
    return _brings_nothing(walk, head) and any(usable_id(item.id) == ids[-1] for item in head.data)


def _brings_nothing(walk: ListWalk, head: ListHead) -> bool:
    return all(usable_id(item.id) in walk.ids for item in head.data)


def _repeats_first_page(walk: ListWalk, head: ListHead) -> bool:
    """The first page again where there is no more, by the server's word or for want of it: it has no cursors."""
    return not head.has_more and len(walk.heads) == 1 and bool(head.data) and _ids(head) == _ids(walk.heads[0])


async def _prove_whole(fetch: Fetch, walk: ListWalk, cursor: str | None, *, whole_lists: bool) -> None:
    """End the walk if its one answer is the whole list: the same under every limit, and from the other end.

    A server that cuts its answers shows other items from the other end. One that does not turn the order round, or has
    one item to turn, shows nothing: it is believed only if `whole_lists` says so.
    """
    ids = _ids(walk.heads[0])
    if _ids((await fetch(Ask(len(walk.pages), cursor, limit=1))).head) != ids:
        raise WalkError(
            "the server ignores the cursor and has no has_more to believe: what comes after the first page cannot be"
            " had"
        )
    turned = _ids((await fetch(Ask(len(walk.pages), None, order="desc"))).head)
    if sorted(map(str, turned)) != sorted(map(str, ids)):
        raise WalkError(
            "the server cuts its answers, ignores the cursor and has no has_more to believe: the rest cannot be had"
        )
    if turned == ids and not whole_lists:
        raise WalkError(
            "the server has no has_more to believe and answers the same to every limit, cursor and order: nothing shows"
            " that this is the whole list. If it is known to answer lists whole, say whole_lists = true in its profile"
        )
    walk.ended_by = "whole_answer"


def _ids(head: ListHead) -> list[object]:
    return [usable_id(item.id) or item.id for item in head.data]
