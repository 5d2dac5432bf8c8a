"""One request and its answer on their way through the emulator, and the log of all requests."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec

from pipeline.emulator.store import ItemList, Page, PageQuery

MAX_LOGGED_REQUESTS: Final = 200_000


@dataclass(slots=True)
class Answer:
    """What is sent, and how badly: the last four fields are for faults of the connection."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    cut_after_bytes: int | None = None
    declared_length: int | None = None


@dataclass(slots=True)
class RequestEntry:
    """One line of the request log; it never holds a header."""

    sequence: int
    at_s: float
    method: str
    route: str
    path: str
    in_flight: int
    thread_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    after: str | None = None
    before: str | None = None
    limit: str | None = None
    order: str | None = None
    status: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return asdict(self)


@dataclass(slots=True)
class RequestLog:
    """The latest requests in the order in which they came."""

    entries: deque[RequestEntry] = field(default_factory=lambda: deque(maxlen=MAX_LOGGED_REQUESTS))
    in_flight: int = 0
    peak_in_flight: int = 0
    total: int = 0

    def open_entry(self, method: str, route: str, path: str, at_s: float) -> RequestEntry:
        """Note a request that has just come in."""
        self.total += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        entry = RequestEntry(self.total, at_s, method, route, path, self.in_flight)
        self.entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forget all requests; those still in flight go on being counted."""
        self.entries.clear()
        self.total = 0
        self.peak_in_flight = self.in_flight


@dataclass(slots=True)
class Exchange:
    """What faults may look at and change; `page` and `items` are None when the request was refused.

    `parents` are ids in the path as they were asked for, by the name that objects have for them;
    `names_cursor`: the cursor was one of the server's own, not an object's id; `own_cursors`: the list has no others.
    """

    route: str
    thread_id: str | None
    run_id: str | None
    query: PageQuery
    now_s: float
    items: ItemList | None = None
    page: Page | None = None
    parents: Mapping[str, str] = field(default_factory=dict)
    names_cursor: bool = False
    own_cursors: bool = False


class RefusedRequestError(Exception):
    """A request that the emulated server refuses with an OpenAI-shaped error."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.answer = make_error(status, message, param=param, code=code)


def make_error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> Answer:
    """An error answer of the shape that OpenAI sends."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Answer(status, msgspec.json.encode({"error": error}))
