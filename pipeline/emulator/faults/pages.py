"""Faults of paging: cursors that are ignored, go round or expire, and envelopes that lie."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, cast

import msgspec

from pipeline.emulator.exchange import Exchange, RefusedRequestError
from pipeline.emulator.faults.rules import FaultRule, FaultShape
from pipeline.emulator.store import ItemList, Page, PageQuery

CURSOR_PREFIX: Final = "cursor/"
# What an object is of, the nearest first.
_PARENTS: Final = ("run_id", "thread_id", "turn_id", "session_id", "conversation")
PageFault = Callable[[Exchange, FaultRule], None]


def _unpack(exchange: Exchange) -> tuple[ItemList, Page]:
    return cast(ItemList, exchange.items), cast(Page, exchange.page)


def _number_page(exchange: Exchange) -> int:
    items, _ = _unpack(exchange)
    # What comes after a last page that is not full is a page of its own.
    return math.ceil(items.count_before(exchange.query) / exchange.query.limit)


def ignore_cursor(exchange: Exchange, _rule: FaultRule) -> None:
    """The first page for ever, with more to come."""
    items, _ = _unpack(exchange)
    exchange.page = items.cut_at(exchange.query, 0)
    exchange.page.has_more = True


def cycle_cursor(exchange: Exchange, rule: FaultRule) -> None:
    """After `length` pages the first one again, with more to come."""
    items, _ = _unpack(exchange)
    length = max(1, int(rule.parameters["length"]))
    number = _number_page(exchange) % length
    exchange.page = items.cut_at(exchange.query, number * exchange.query.limit)
    exchange.page.has_more = True


def claim_more_without_cursor(exchange: Exchange, _rule: FaultRule) -> None:
    """More to come, but neither last_id nor an id in the last object says where to go on."""
    _, page = _unpack(exchange)
    page.has_more = True
    page.last_id = None
    if page.bodies:
        record = msgspec.json.decode(page.bodies[-1])
        page.bodies[-1] = msgspec.json.encode(record | {"id": None})


def empty_page(exchange: Exchange, _rule: FaultRule) -> None:
    """No objects, but more to come."""
    exchange.page = Page([], has_more=True)


def omit_has_more(exchange: Exchange, rule: FaultRule) -> None:
    """An envelope of nothing but object and data (and the two ids with `keep_ids`)."""
    _, page = _unpack(exchange)
    page.omitted.add("has_more")
    if not rule.parameters["keep_ids"]:
        page.omitted |= {"first_id", "last_id"}


def ignore_limit(exchange: Exchange, _rule: FaultRule) -> None:
    """Everything in one answer, whatever limit and cursor say."""
    items, _ = _unpack(exchange)
    exchange.page = items.cut_at(replace(exchange.query, limit=max(1, len(items))), 0)


def cut_answer(exchange: Exchange, rule: FaultRule) -> None:
    """The first `length` objects of the asked order (ascending with `keep_order`), whatever limit and cursor say."""
    items, _ = _unpack(exchange)
    order = "asc" if rule.parameters["keep_order"] else exchange.query.order
    exchange.page = items.cut_at(replace(exchange.query, limit=int(rule.parameters["length"]), order=order), 0)


def claim_more_when_full(exchange: Exchange, _rule: FaultRule) -> None:
    """More to come after a last page that is exactly full."""
    _, page = _unpack(exchange)
    page.has_more = page.has_more or len(page.bodies) == exchange.query.limit


def repeat_items(exchange: Exchange, rule: FaultRule) -> None:
    """Each page begins with the last `overlap` objects of the one before."""
    items, _ = _unpack(exchange)
    before = items.count_before(exchange.query)
    exchange.page = items.cut_at(exchange.query, max(0, before - int(rule.parameters["overlap"])))


def skip_items(exchange: Exchange, rule: FaultRule) -> None:
    """After a cursor the first `count` objects are left out: it is counted from one, or taken as the next one."""
    items, _ = _unpack(exchange)
    if exchange.query.after is not None:
        exchange.page = items.cut_at(exchange.query, items.count_before(exchange.query) + int(rule.parameters["count"]))


def expire_cursor(exchange: Exchange, rule: FaultRule) -> None:
    """400 from page number `pages` on."""
    if exchange.query.after is not None and _number_page(exchange) >= int(rule.parameters["pages"]):
        raise RefusedRequestError(400, "The cursor has expired.", param="after", code="invalid_cursor")


def change_last_id(exchange: Exchange, rule: FaultRule) -> None:
    """A last_id that is not the id of the last object: the given one, else the first object's."""
    _, page = _unpack(exchange)
    page.last_id = rule.parameters["last_id"] or page.first_id


def compare_cursor_with_id(exchange: Exchange, _rule: FaultRule) -> None:
    """The list in its order of time, but after a cursor only what has a greater id."""
    items, _ = _unpack(exchange)
    after, query = exchange.query.after, exchange.query
    if after is None:
        return
    everything = items.cut_at(replace(query, limit=max(1, len(items))), 0).bodies
    later = [body for body in everything if msgspec.json.decode(body)["id"] > after]
    chosen = later[: query.limit]
    ids = [msgspec.json.decode(body)["id"] for body in chosen]
    first_id, last_id = (ids[0], ids[-1]) if ids else (None, None)
    exchange.page = Page(chosen, first_id, last_id, has_more=len(later) > query.limit)


def change_order(exchange: Exchange, _rule: FaultRule) -> None:
    """Pages after the first one in the opposite of the asked order."""
    items, _ = _unpack(exchange)
    if exchange.query.after is not None:
        flipped: PageQuery = replace(exchange.query, order="desc" if exchange.query.order == "asc" else "asc")
        exchange.page = items.cut(flipped)


def ignore_order(exchange: Exchange, rule: FaultRule) -> None:
    """Always the one `order`, whatever was asked for."""
    items, _ = _unpack(exchange)
    exchange.page = items.cut(replace(exchange.query, order=rule.parameters["order"]))


def ignore_before(exchange: Exchange, _rule: FaultRule) -> None:
    """The list as if `before` had not been asked for."""
    items, _ = _unpack(exchange)
    exchange.page = items.cut(replace(exchange.query, before=None))


def never_more(exchange: Exchange, _rule: FaultRule) -> None:
    """Each page says that it is the last."""
    _, page = _unpack(exchange)
    page.has_more = False


def limit_to(exchange: Exchange, rule: FaultRule) -> None:
    """No page is longer than `length`, whatever limit is asked for."""
    items, _ = _unpack(exchange)
    exchange.page = items.cut(replace(exchange.query, limit=min(exchange.query.limit, int(rule.parameters["length"]))))


def forget_cursor(exchange: Exchange, rule: FaultRule) -> None:
    """An empty last page after any cursor (or only those of objects that are gone), in place of a refusal."""
    if exchange.query.after is not None and rule.parameters["known"]:
        exchange.page = Page([])


def name_cursors(exchange: Exchange, _rule: FaultRule) -> None:
    """Cursors of its own in last_id; after the id of an object there is nothing."""
    items, page = _unpack(exchange)
    if exchange.query.after is not None:
        exchange.page = page = items.cut(exchange.query) if exchange.names_cursor else Page([])
    if page.last_id is not None:
        page.last_id = CURSOR_PREFIX + page.last_id


def repeat_id(exchange: Exchange, _rule: FaultRule) -> None:
    """The first two objects have one id."""
    _, page = _unpack(exchange)
    if len(page.bodies) > 1:
        first, second = (msgspec.json.decode(body) for body in page.bodies[:2])
        page.bodies[1] = msgspec.json.encode(second | {"id": first["id"]})


def add_others(exchange: Exchange, _rule: FaultRule) -> None:
    """Before the objects of the list the first one again, as one of another parent, if it names one."""
    _, page = _unpack(exchange)
    if page.bodies:
        record = msgspec.json.decode(page.bodies[0])
        parent = next((name for name in _PARENTS if record.get(name)), None)
        if parent is not None:
            named = record[parent]
            other = {**named, "id": f"{named['id']}_other"} if isinstance(named, dict) else f"{named}_other"
            page.bodies.insert(0, msgspec.json.encode(record | {"id": f"{record['id']}_other", parent: other}))


def keep_oldest(exchange: Exchange, rule: FaultRule) -> None:
    """The list ends after its `length` oldest objects, in whatever order, and says that it is whole."""
    items, _ = _unpack(exchange)
    oldest = ItemList(items.copy_item(position) for position in range(min(len(items), int(rule.parameters["length"]))))
    exchange.page = oldest.cut(exchange.query)


def _leave_as_it_is(_exchange: Exchange, _rule: FaultRule) -> None:
    """A cursor that names no object is answered with the start of the list: see `forgives_cursor`."""


def _from_page(fault: PageFault) -> PageFault:
    def apply(exchange: Exchange, rule: FaultRule) -> None:
        if _number_page(exchange) >= int(rule.parameters["from_page"]):
            fault(exchange, rule)

    return apply


def _shape(**parameters: object) -> FaultShape:
    return FaultShape({"from_page": 0, **parameters})


_FAULTS: Final[Mapping[str, tuple[PageFault, FaultShape]]] = {
    "cursor_ignored": (ignore_cursor, _shape()),
    "cursor_cycle": (cycle_cursor, _shape(length=2)),
    "has_more_no_cursor": (claim_more_without_cursor, _shape()),
    "empty_page_more": (empty_page, _shape()),
    "missing_has_more": (omit_has_more, _shape(keep_ids=False)),
    "limit_ignored": (ignore_limit, _shape()),
    "answer_cut": (cut_answer, _shape(length=20, keep_order=False)),
    "full_last_page_more": (claim_more_when_full, _shape()),
    "items_repeat": (repeat_items, _shape(overlap=1)),
    "cursor_skips": (skip_items, _shape(count=1)),
    "cursor_expires": (expire_cursor, _shape(pages=2)),
    "last_id_differs": (change_last_id, _shape(last_id=None)),
    "cursor_compares_id": (compare_cursor_with_id, _shape()),
    "order_changes": (change_order, _shape()),
    "order_ignored": (ignore_order, FaultShape({"from_page": 0, "order": "desc"}, {"order": ("asc", "desc")})),
    "before_ignored": (ignore_before, _shape()),
    "never_more": (never_more, _shape()),
    "limit_capped": (limit_to, _shape(length=20)),
    "cursor_gone_empty": (forget_cursor, _shape(known=True)),
    "cursor_gone_restarts": (_leave_as_it_is, _shape()),
    "cursor_in_last_id": (name_cursors, _shape()),
    "id_twice": (repeat_id, _shape()),
    "other_parents": (add_others, _shape()),
    "oldest_only": (keep_oldest, _shape(length=100)),
}

PAGE_FAULTS: Final[Mapping[str, PageFault]] = {name: _from_page(fault) for name, (fault, _) in _FAULTS.items()}
PAGE_SHAPES: Final[Mapping[str, FaultShape]] = {name: shape for name, (_, shape) in _FAULTS.items()}
