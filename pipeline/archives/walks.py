"""Runs and steps found in archives, as walks: each object once, in its newest state, in ascending order."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import itemgetter

from msgspec import UnsetType

from pipeline.archives.shapes import Found, Order
from pipeline.protocol.pages import Certificate, Page, Resource, Walk
from pipeline.protocol.wire import MILLISECONDS_ABOVE, TERMINAL_STATUSES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Seconds, or milliseconds of the year 3237: what is larger is no instant.
_LATEST = 4e13

# What orders steps, which is the instant of creation in seconds and the place (negative in a list that is backwards),
# then the file, and what was found.
_Placed = tuple[tuple[float, int], str, Found]


def make_walks(found: Sequence[tuple[str, Found]], *, now: datetime, first_place: int = 0) -> Iterator[Walk]:
    """Walks of what archives hold, given with the file's name in the order read: one for the steps of each run, one for
    the runs of each thread; each object once, in its newest state, on a page of its own, steps in ascending order.

    `first_place` is how many objects, or more, came before in the same import. Where a run's steps come in several
    parts of it, `first_index` tells how these follow each other: below 0 for a list that is backwards.
    """
    groups: dict[tuple[Resource, str, str | None], list[tuple[int, str, Found]]] = {}
    for number, (file, item) in enumerate(found, 1):
        groups.setdefault((item.resource, item.thread_id, item.run_id), []).append((number, file, item))
    for (resource, thread_id, run_id), items in groups.items():
        newest = _newest(_in_order(items))
        is_backwards = all(place < 0 for (_, place), _, _ in newest)
        first_index = -(first_place + len(found)) if is_backwards and first_place else first_place
        yield Walk(
            Certificate(
                resource=resource,
                thread_id=thread_id,
                run_id=run_id,
                started_at=now,
                ended_at=now,
                verdict="imported",
                pages=len(newest),
                items=len(newest),
                first_index=first_index,
                first_id=newest[0][2].object_id,
                last_id=newest[-1][2].object_id,
            ),
            [_page_of(index, file, item) for index, (_, file, item) in enumerate(newest)],
        )


def _in_order(items: Sequence[tuple[int, str, Found]]) -> list[_Placed]:
    """Ascending by creation; within a second as their list had them, backwards where it was descending."""
    lists: dict[str, list[Found]] = {}
    for _, file, item in items:
        lists.setdefault(file, []).append(item)
    orders = {file: _order_of(of_file) for file, of_file in lists.items()}

    def placed(number: int, file: str, item: Found) -> _Placed:
        created_s = _seconds_of(item.head.created_at)
        order = item.context.order or orders[file]
        place = number if order == "asc" else -number
        return (float("inf") if created_s is None else created_s, place), file, item

    return sorted((placed(*item) for item in items), key=itemgetter(0))


def _order_of(items: Sequence[Found]) -> Order:
    """How a file lists them. Where that cannot be seen, lists of the API are taken to have its default order."""
    times = [value for item in items if (value := _seconds_of(item.head.created_at)) is not None]
    rises = sum((later > earlier) - (later < earlier) for earlier, later in pairwise(times))
    if rises:
        return "asc" if rises > 0 else "desc"
    return "desc" if items[0].context.in_list else "asc"


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


def _rank(item: Found) -> tuple[bool, datetime, bool, int, bytes]:
    usage = item.head.usage
    has_usage = not isinstance(usage, UnsetType) and bytes(usage) not in (b"null", b"{}")
    return item.head.status in TERMINAL_STATUSES, _last_instant(item), has_usage, len(item.body), item.body


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
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        return None
    return value / 1000 if value > MILLISECONDS_ABOVE else float(value)
