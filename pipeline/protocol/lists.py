"""The lists of a server: where their items' cursors stand, what is asked of them, and what was walked of one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import Struct

from pipeline.errors import WalkError
from pipeline.protocol.list_heads import usable_id
from pipeline.protocol.pages import Page, Protocol
from pipeline.protocol.wire import ItemHead, ListHead

PAGE_LIMIT = 100
_RESPONSE_CONTENTS = ("file_search_call.results", "code_interpreter_call.outputs")


@dataclass(frozen=True, slots=True)
class ListRule:
    """One kind of list. `by_last_id`: the next page comes after last_id, which need not be an item's id; elsewhere it
    comes after the last item. `contents`: values of include[] without which texts are left out.
    """

    by_last_id: bool = False
    contents: tuple[str, ...] = ()


THREADS: Final = ListRule()
RUNS: Final = ListRule()
STEPS: Final = ListRule(contents=("step_details.tool_calls[*].file_search.results[*].content",))
# Foundry's list of responses takes no include[]: what lacks contents is asked for by its id.
RESPONSES: Final = ListRule()
ONE_RESPONSE: Final = ListRule(contents=_RESPONSE_CONTENTS)
INPUT_ITEMS: Final = ListRule()
CONVERSATION_ITEMS: Final = ListRule(by_last_id=True)
TURNS: Final = ListRule()
SUBAGENTS: Final = ListRule()
TURN_ITEMS: Final = ListRule(by_last_id=True)

# The list of what runs are listed by: threads, conversations, sessions.
THREADS_OF: Final[Mapping[Protocol, tuple[str, ...]]] = {
    "assistants": ("threads",),
    "responses": ("conversations",),
    "agents": ("agents", "sessions"),
}


class ListAnswer(Struct, frozen=True):
    """One page of a list: what landed of it, what the pager needs of it, and what it says against its being whole."""

    page: Page
    head: ListHead
    doubt: str | None = None


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
    doubts: list[str] = field(default_factory=list)
    ended_by: str | None = None

    @property
    def found(self) -> list[ItemHead]:
        """Each item as it came last, in the order of its first coming; one without a usable id as often as it comes."""
        named = {item_id: item for head in self.heads for item in head.data if (item_id := usable_id(item.id))}
        return [
            *named.values(),
            *(item for head in self.heads for item in head.data if usable_id(item.id) is None),
        ]

    @property
    def items(self) -> int:
        """Distinct items; those without a usable id count one by one."""
        return len(self.ids) + sum(usable_id(item.id) is None for head in self.heads for item in head.data)

    def forget(self) -> None:
        """Start over from the first cursor."""
        self.pages.clear()
        self.heads.clear()
        self.ids.clear()
        self.doubts.clear()


@dataclass(slots=True)
class Trail:
    """Where a walk is: the cursor of the next page and those that led here, its list having begun after `start`.

    Cursors are ids of items, which all clients of the protocol but Azure's take, until those lead nowhere where the
    server names another (`by_last_id`).
    """

    start: str | None
    cursor: str | None = None
    used: set[str | None] = field(default_factory=set)
    by_last_id: bool = False
    restarted: bool = False

    def begin(self, walk: ListWalk) -> None:
        """Be at the start of the list, with nothing walked."""
        walk.forget()
        self.cursor, self.used = self.start, {self.start}

    def start_over(self, walk: ListWalk) -> bool:
        """Begin once more; False if that was done before."""
        if self.restarted:
            return False
        self.restarted = True
        self.begin(walk)
        return True

    def turn_to_last_id(self, walk: ListWalk) -> bool:
        """Go on from the last page's last_id in place of its last item; False if that is no other place."""
        last_id = usable_id(walk.heads[-1].last_id) if walk.heads else None
        if self.by_last_id or last_id is None or last_id in walk.ids or last_id in self.used:
            return False
        self.by_last_id, self.cursor = True, last_id
        self.used.add(last_id)
        return True

    def follow(self, cursor: str, page: int) -> None:
        """Go on from a cursor. Raises WalkError where that leads back."""
        if cursor in self.used:
            raise WalkError(f"page {page} leads back to a cursor that was used before")
        self.used.add(cursor)
        self.cursor = cursor
