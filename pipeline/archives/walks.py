"""Runs and steps found in archives, as walks: each object once, in its newest state, in ascending order."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import itemgetter

from msgspec import UnsetType
from msgspec.structs import replace

from pipeline.archives.proofs import GAP, UNREAD, Cut, begins_whole_list, find_cuts, is_before
from pipeline.archives.shapes.content import Found, Listed, Order
from pipeline.protocol.pages import Certificate, Page, Protocol, Resource, Walk
from pipeline.protocol.spellings import LATEST_MILLISECONDS, MILLISECONDS_ABOVE, read_instant
from pipeline.protocol.wire import TERMINAL_STATUSES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What orders steps, which is the instant of creation in seconds and the place (negative in a list that is backwards),
# then the file, and what was found.
_Placed = tuple[tuple[float, int], str, Found]
# A list of the API, or all that stand alone: the file and the place of the list.
_ListKey = tuple[str, str | None]
# How the lists of a file go, each counting once: above 0 those that rise prevail.
FileOrders = Counter[tuple[str, Resource]]
_Group = tuple[Resource, str, str | None, Protocol]


def make_walks(
    found: Sequence[tuple[str, Found]],
    *,
    now: datetime,
    listed: Sequence[tuple[str, Listed]] = (),
    first_place: int = 0,
    orders: FileOrders | None = None,
) -> Iterator[Walk]:
    """Walks of what archives hold, given with the file's name in the order read: one for the steps of each run, one for
    the runs of each thread; each object once, in its newest state, on a page of its own, steps in ascending order.

    `first_place` is how many objects, or more, came before in the same import. Where a run's steps come in several
    parts of it, `first_index` tells how these follow each other: below 0 for a list that is backwards. `orders` is what
    the parts before have shown of the files. Pages that were `listed` and tell that more is missing have a walk without
    items.
    """
    groups: dict[_Group, list[tuple[int, str, Found]]] = {}
    for number, (file, item) in enumerate(found, 1):
        groups.setdefault((item.resource, item.thread_id, item.run_id, item.protocol), []).append((number, file, item))
    pages: dict[_Group, list[tuple[str, Listed]]] = {}
    for file, page in listed:
        group = page.resource, page.thread_id, page.run_id, page.protocol
        pages.setdefault(group, []).append((file, page))
        groups.setdefault(group, [])
    orders = Counter() if orders is None else orders
    of_lists = {group: _rises_of(items) for group, items in groups.items()}
    for (resource, *_), found_rises in of_lists.items():
        for (file, _), rises in found_rises.items():
            orders[file, resource] += rises
    for group, items in groups.items():
        newest = _newest(_in_order(items, of_lists[group], orders))
        is_backwards = bool(newest) and all(place < 0 for (_, place), _, _ in newest)
        first_index = -(first_place + len(found)) if is_backwards and first_place else first_place
        certificate = _certificate(group, newest, now=now, first_index=first_index)
        of_list = pages.get(group, [])
        status = _status_of_whole(group, [page for _, page in of_list], groups)
        if status is not None:
            certificate = replace(certificate, ended_by="has_more_false", run_status=status or None)
        if newest or status is not None:
            yield Walk(certificate, [_page_of(index, file, item) for index, (_, file, item) in enumerate(newest)])
        places = {item.object_id: index for index, (_, _, item) in enumerate(newest)}
        for file, cut in find_cuts(of_list, places):
            yield Walk(replace(_certificate(group, [], now=now), **_cut_fields(file, cut)), [])


def _certificate(group: _Group, items: Sequence[_Placed], *, now: datetime, first_index: int = 0) -> Certificate:
    resource, thread_id, run_id, protocol = group
    return Certificate(
        resource=resource,
        thread_id=thread_id,
        run_id=run_id,
        protocol=protocol,
        started_at=now,
        ended_at=now,
        verdict="imported",
        pages=len(items),
        items=len(items),
        first_index=first_index,
        first_id=items[0][2].object_id if items else None,
        last_id=items[-1][2].object_id if items else None,
    )


def _cut_fields(file: str, cut: Cut) -> dict[str, str | None]:
    said = {GAP: "the page follows on one that is not here", UNREAD: "the page has an item that could not be read"}
    why = said.get(cut.how, "the page says has_more, and what follows is not here")
    return {"ended_by": cut.how, "after_id": cut.at_id, "error": f"{file}: {cut.where}: {why}"}


def _status_of_whole(
    group: _Group, pages: Sequence[Listed], groups: Mapping[_Group, Sequence[tuple[int, str, Found]]]
) -> str | None:
    """The status that a run had before all of its steps were recorded; empty for the runs of a thread. None if pages do
    not prove that the list is whole, or the run went on.
    """
    first = begins_whole_list(pages)
    resource, thread_id, run_id, protocol = group
    if first is None or resource == "runs":
        return None if first is None else ""
    for _, _, run in groups.get(("runs", thread_id, None, protocol), []):
        if run.object_id == run_id and run.head.status in TERMINAL_STATUSES and is_before(_ended_at(run), first):
            return str(run.head.status)
    return None


def _ended_at(run: Found) -> datetime | None:
    """When a run had ended: as it says itself, else when it was seen so."""
    head = run.head
    values = [_seconds_of(value) for value in (head.completed_at, head.failed_at, head.cancelled_at, head.expired_at)]
    known = [value for value in values if value is not None]
    return _EPOCH + timedelta(seconds=max(known)) if known else run.context.seen_at


def _in_order(
    items: Sequence[tuple[int, str, Found]], of_lists: Mapping[_ListKey, int], orders: FileOrders
) -> list[_Placed]:
    """Ascending by creation; within a second as their list had them, backwards where it was descending."""
    of_files: Counter[str] = Counter()
    for (file, _), rises in of_lists.items():
        of_files[file] += rises

    def placed(number: int, file: str, item: Found) -> _Placed:
        created_s = _seconds_of(item.head.created_at)
        seen = of_lists[file, item.context.list_place]
        # What a list shows itself, then what it was asked for, then what those beside it show.
        order = _order_of(seen) or item.context.order or _order_of(of_files[file] or orders[file, item.resource])
        if order is None:
            # Lists of the API are taken to have its default order.
            order = "desc" if item.context.in_list else "asc"
        place = number if order == "asc" else -number
        return (float("inf") if created_s is None else created_s, place), file, item

    return sorted((placed(*item) for item in items), key=itemgetter(0))


def _rises_of(items: Sequence[tuple[int, str, Found]]) -> dict[_ListKey, int]:
    """How each list goes: 1 if its instants rise, -1 if they fall, 0 where that cannot be seen."""
    times: dict[_ListKey, list[float]] = {}
    for _, file, item in items:
        of_list = times.setdefault((file, item.context.list_place), [])
        if (value := _seconds_of(item.head.created_at)) is not None:
            of_list.append(value)
    return {
        key: (rises > 0) - (rises < 0)
        for key, of_list in times.items()
        for rises in [sum((later > earlier) - (later < earlier) for earlier, later in pairwise(of_list))]
    }


def _order_of(rises: int) -> Order | None:
    if rises == 0:
        return None
    return "asc" if rises > 0 else "desc"


def _newest(items: Sequence[_Placed]) -> list[_Placed]:
    """Each object once, in its newest state, where that stands: terminal before open, then the later, then the one that
    says more.
    """
    best: dict[str, _Placed] = {}
    for entry in items:
        object_id = entry[2].object_id
        held = best.get(object_id)
        if held is None or _rank(entry[2]) > _rank(held[2]):
            best[object_id] = entry
    return sorted(best.values(), key=itemgetter(0))


def _rank(item: Found) -> tuple[bool, datetime, bool, bool, int, bytes]:
    usage = item.head.usage
    has_usage = not isinstance(usage, UnsetType) and bytes(usage) not in (b"null", b"{}")
    # Only the line of a batch tells that a response came out of one.
    is_batched = item.protocol == "responses" and b'"custom_id"' in item.body
    has_ended = item.head.status in TERMINAL_STATUSES
    return has_ended, _last_instant(item), has_usage, is_batched, len(item.body), item.body


def _page_of(index: int, file: str, item: Found) -> Page:
    body = b'{"data":[' + item.body + b"]}"
    return Page(index, None, _last_instant(item), None, body, f"{file}: {item.context.where}")


def _last_instant(found: Found) -> datetime:
    """The latest instant that a recording or the object itself tells of; the state is at least as new."""
    head = found.head
    values = (
        head.created_at, head.started_at, head.completed_at, head.failed_at, head.cancelled_at, head.expired_at
    )  # fmt: skip
    seconds = max((value for item in values if (value := _seconds_of(item)) is not None), default=0.0)
    own = _EPOCH + timedelta(seconds=seconds)
    return own if found.context.seen_at is None else max(own, found.context.seen_at)


def _seconds_of(value: object) -> float | None:
    """An instant of the protocol in seconds; None if it is unset or no instant."""
    if value is None:
        return None
    # As the protocol has them: most by far.
    if type(value) is int and 0 < value <= MILLISECONDS_ABOVE:
        return float(value)
    try:
        seconds, _ = read_instant(value)
    except (ValueError, OverflowError):
        return None
    if seconds is None or not 0 < seconds <= LATEST_MILLISECONDS:
        return None
    return seconds / 1000 if seconds > MILLISECONDS_ABOVE else seconds
