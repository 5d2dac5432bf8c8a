"""Runs and steps found in archives, as walks: each object once, in its newest state, in ascending order."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from msgspec import UnsetType

from pipeline.archives import Found, Order
from pipeline.extras import MILLISECONDS_ABOVE
from pipeline.pages import Certificate, Page, Resource, Walk
from pipeline.wire import TERMINAL_STATUSES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Seconds, or milliseconds of the year 3237: what is larger is no instant.
_LATEST = 4e13


def make_walks(found: Sequence[tuple[str, Found]], *, now: datetime) -> Iterator[Walk]:
    """Walks of what archives hold, given with the file's name in the order read: one for the steps of each run, one for
    the runs of each thread; each object once, in its newest state, on a page of its own, steps in ascending order.
    """
    groups: dict[tuple[Resource, str, str | None], list[tuple[int, str, Found]]] = {}
    for number, (file, item) in enumerate(found):
        groups.setdefault((item.resource, item.thread_id, item.run_id), []).append((number, file, item))
    for (resource, thread_id, run_id), items in groups.items():
        newest = _newest(_in_order(items))
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
                first_id=newest[0][1].object_id,
                last_id=newest[-1][1].object_id,
            ),
            [_page_of(index, file, item) for index, (file, item) in enumerate(newest)],
        )


def _in_order(items: Sequence[tuple[int, str, Found]]) -> list[tuple[str, Found]]:
    """Ascending by creation; within a second as their list had them, backwards where it was descending."""
    lists: dict[str, list[Found]] = {}
    for _, file, item in items:
        lists.setdefault(file, []).append(item)
    orders = {file: _order_of(of_file) for file, of_file in lists.items()}

    def place(entry: tuple[int, str, Found]) -> tuple[float, int]:
        number, file, item = entry
        created_s = _seconds_of(item.head.created_at)
        order = item.context.order or orders[file]
        return (float("inf") if created_s is None else created_s, number if order == "asc" else -number)

    return [(file, item) for _, file, item in sorted(items, key=place)]


def _order_of(items: Sequence[Found]) -> Order:
    """How a file lists them. Where that cannot be seen, lists of the API are taken to have its default order."""
    times = [value for item in items if (value := _seconds_of(item.head.created_at)) is not None]
    rises = sum((later > earlier) - (later < earlier) for earlier, later in pairwise(times))
    if rises:
        return "asc" if rises > 0 else "desc"
    return "desc" if items[0].context.in_list else "asc"


def _newest(items: Sequence[tuple[str, Found]]) -> list[tuple[str, Found]]:
    """Each object once, in its newest state: terminal before open, then the later, then the one that says more."""
    best: dict[str, tuple[str, Found]] = {}
    for file, item in items:
        held = best.get(item.object_id)
        if held is None or _rank(item) > _rank(held[1]):
            best[item.object_id] = (file, item)
    return list(best.values())


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
