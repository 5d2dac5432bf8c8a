"""What documents hold, as it is handed on: objects that were found, lists that were seen, places that were not read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pipeline.archives.shapes.heads import Head
from pipeline.protocol.pages import Protocol, Resource

Order = Literal["asc", "desc"]
# The thread of a page whose items are of several.
OF_SEVERAL = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of an object from around it.

    `in_list` says that a list envelope had it, `list_place` which one. Of a recorded request there is its order, and
    whether its answer begins the list (`is_recorded` and no `cursor`); `cursor` is the id it was asked to go on from.
    `is_asked`: it was asked of this thread or run, and what names another is none of theirs; the same
    holds of what stands in the list that an object of this kind has within itself (`held_in`).
    `is_search`: this is inside something that is not known, so that what is neither run nor step is no matter.
    `is_sent`: a request put it in; where what it belongs to is not here, nothing that was answered is missing.
    `read_beside` gives the content of a file beside the archive's, None if there is none. `odd_fields` are what a
    profile knows to mean nothing.
    """

    where: str
    thread_id: str | None = None
    run_id: str | None = None
    resource: Resource | None = None
    order: Order | None = None
    seen_at: datetime | None = None
    in_list: bool = False
    list_place: str | None = None
    is_recorded: bool = False
    cursor: str | None = None
    is_asked: bool = False
    held_in: str | None = None
    is_search: bool = False
    is_sent: bool = False
    read_beside: Callable[[str], bytes | None] | None = None
    odd_fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """A run or a step as sent. `run_id` is None for a run; the context's `seen_at` is when a recording saw it.

    Of newer protocols a run is a response or a turn.
    """

    resource: Resource
    object_id: str
    thread_id: str
    run_id: str | None
    body: bytes
    head: Head
    context: Context
    protocol: Protocol = "assistants"


@dataclass(frozen=True, slots=True)
class Loose:
    """An object that stands beside responses and turns and says nothing by itself: an item, or the session of turns.

    Of whom it is, as far as it says so: a thread, a response or a turn (`run_id`), a call.
    """

    body: bytes
    type: str
    thread_id: str | None
    run_id: str | None
    call_id: str | None
    context: Context


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list as it was answered: its items' ids in their order, and whether it says that more follow.

    `is_whole`: every item of it was found; `has_unread`: some item of it could not be read.
    """

    resource: Resource
    thread_id: str
    run_id: str | None
    ids: tuple[str, ...]
    has_more: bool
    is_whole: bool
    has_unread: bool
    context: Context
    protocol: Protocol = "assistants"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something known that is neither a run nor a step: a message, a refused request, a request for something else."""

    where: str


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """Something that is not known, with where it stands and why; `reason` repeats nothing of what is there.

    `run_id` is all that a step says of whose it is.
    """

    where: str
    reason: str
    run_id: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


Content = Found | Loose | Listed | LeftOut | Unrecognised


@dataclass(frozen=True, slots=True)
class Within:
    """A text that a shape holds and that is to be read in turn; an event stream if it says so."""

    body: bytes
    context: Context
    is_stream: bool = False
