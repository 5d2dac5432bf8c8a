"""Whatever a server does, a walk ends well or in a named error; a clean end never has fewer rows than the server."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import RequestError, WalkError
from pipeline.protocol.cursors import walk_list
from pipeline.protocol.list_heads import usable_id
from pipeline.protocol.lists import Ask, Fetch, ListAnswer, ListWalk
from pipeline.protocol.pages import Page
from pipeline.protocol.wire import ItemHead, ListHead

AT = datetime(2026, 11, 20, tzinfo=UTC)
MAX_PAGES = 12
FRESH = "(an id that was never seen)"


def run_walk(fetch: Fetch, walk: ListWalk, *, max_pages: int, whole_lists: bool = False) -> str | None:
    """The error that the walk ended in, None for a complete one; any other exception fails the test."""
    try:
        asyncio.run(walk_list(fetch, walk, max_pages=max_pages, whole_lists=whole_lists))
    except (WalkError, RequestError) as error:
        assert walk.ended_by is None
        return str(error)
    assert walk.ended_by in ("has_more_false", "empty_page", "whole_answer")
    return None


def answer(ask: Ask, head: ListHead) -> ListAnswer:
    return ListAnswer(Page(ask.page_index, ask.after, AT, None, b""), head)


# --- a server of any behaviour ----------------------------------------------------------------------------------------

any_id = st.sampled_from([None, "", 7, "a", "b", "c", "d", FRESH])
any_page = st.builds(
    lambda ids, more, last_id: ListHead([ItemHead(item_id) for item_id in ids], has_more=more, last_id=last_id),
    st.lists(any_id, max_size=4),
    st.sampled_from([True, True, True, None, False]),
    any_id,
)
any_move = any_page | any_page | st.sampled_from([400, 404, 422, 500])


@dataclass
class Chaos:
    """Moves for ever from the start again; with `by_cursor` a cursor always gets the same move."""

    moves: Sequence[ListHead | int]
    by_cursor: bool
    requests: int = 0
    served: dict[str | None, int] = field(default_factory=dict)
    fresh: "itertools.count[int]" = field(default_factory=itertools.count)

    async def fetch(self, ask: Ask) -> ListAnswer:
        turn = self.served.setdefault(ask.after, self.requests) if self.by_cursor else self.requests
        self.requests += 1
        # Two walks of at most MAX_PAGES each, and two requests that prove an answer whole: no endless walk.
        assert self.requests <= 2 * MAX_PAGES + 2
        move = self.moves[turn % len(self.moves)]
        if isinstance(move, int):
            raise RequestError("/threads: no", status=move)
        data = [ItemHead(self._name(item.id)) for item in move.data]
        return answer(ask, ListHead(data, has_more=move.has_more, last_id=self._name(move.last_id)))

    def _name(self, item_id: object) -> object:
        return f"fresh_{next(self.fresh)}" if item_id == FRESH else item_id


@settings(max_examples=400, deadline=None)
@given(moves=st.lists(any_move, min_size=1, max_size=8), by_cursor=st.booleans(), after=st.sampled_from([None, "a"]))
@example(moves=[ListHead([ItemHead(FRESH)], has_more=True)], by_cursor=False, after=None)
@example(moves=[ListHead([ItemHead(FRESH)], has_more=True), 400], by_cursor=False, after=None)
def test_a_walk_over_any_server_ends(moves: list[ListHead | int], by_cursor: bool, after: str | None) -> None:
    server, walk = Chaos(moves, by_cursor), ListWalk(after=after)
    error = run_walk(server.fetch, walk, max_pages=MAX_PAGES)
    assert len(walk.pages) == len(walk.heads) <= MAX_PAGES
    assert set(walk.ids) == {name for head in walk.heads for item in head.data if (name := usable_id(item.id))}
    if error is None and walk.ended_by != "whole_answer":
        assert walk.heads[-1].has_more is not True


# --- a server with a list of its own ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Habits:
    """How a server serves its list: each deviation that is known, and combinations that are not."""

    count: int = 5
    page_size: int = 2
    has_more: str = "right"
    cursor: str = "followed"
    order: str = "followed"
    last_id: str = "right"
    limit: str = "kept"
    empty_at: int | None = None
    refuses_at: int | None = None
    refuses_once: bool = False
    nameless: int | None = None

    @property
    def ids(self) -> list[str]:
        return [f"id_{number}" for number in range(self.count)]


@dataclass
class Server:
    """Serves a list by its habits."""

    habits: Habits
    refused: bool = False

    async def fetch(self, ask: Ask) -> ListAnswer:
        habits = self.habits
        if habits.refuses_at == ask.page_index and not (self.refused and habits.refuses_once):
            self.refused = True
            raise RequestError("/threads: the cursor has expired", status=400)
        if habits.empty_at == ask.page_index:
            return answer(ask, ListHead([], has_more=True))
        sizes = {"kept": min(ask.limit, habits.page_size), "fixed": habits.page_size, "ignored": max(1, habits.count)}
        size = sizes[habits.limit]
        listed = habits.ids[::-1] if ask.order == "desc" and habits.order == "followed" else habits.ids
        start = self._start(listed, ask, size)
        ids = listed[start : start + size]
        return answer(ask, self._envelope(ids, full=len(ids) == size, more=start + size < habits.count))

    def _start(self, listed: Sequence[str], ask: Ask, size: int) -> int:
        after = 0 if ask.after is None else listed.index(ask.after) + 1
        match self.habits.cursor:
            case "ignored":
                return 0
            case "cycles":
                return after % (2 * size)
            case "overlaps":
                return max(0, after - 1)
        return after

    def _envelope(self, ids: list[str], *, full: bool, more: bool) -> ListHead:
        habits = self.habits
        has_more = {"right": more, "missing": None, "true_when_full": more or full, "always_true": True}
        last_id = {"right": ids[-1:], "first": ids[:1], "missing": []}[habits.last_id]
        data = [ItemHead(None if habits.nameless == habits.ids.index(item_id) else item_id) for item_id in ids]
        return ListHead(data, has_more=has_more[habits.has_more], last_id=last_id[0] if last_id else None)


known_habits = st.builds(
    Habits,
    count=st.integers(0, 14) | st.sampled_from([100, 101, 130]),
    page_size=st.integers(1, 5) | st.sampled_from([100, 120]),
    has_more=st.sampled_from(["right", "missing", "true_when_full", "always_true"]),
    cursor=st.sampled_from(["followed", "followed", "ignored", "cycles", "overlaps"]),
    order=st.sampled_from(["followed", "ignored"]),
    limit=st.sampled_from(["kept", "fixed", "ignored"]),
    last_id=st.sampled_from(["right", "first", "missing"]),
    empty_at=st.none() | st.integers(0, 4),
    refuses_at=st.none() | st.integers(0, 4),
    refuses_once=st.booleans(),
)
nameless_habits = st.builds(
    lambda habits, nameless: replace(habits, nameless=nameless, last_id="right"), known_habits, st.integers(0, 14)
)
harmless_habits = st.builds(
    Habits,
    count=st.integers(0, 14) | st.sampled_from([100, 101, 130]),
    page_size=st.integers(1, 5) | st.sampled_from([100, 120]),
    has_more=st.sampled_from(["right", "missing", "true_when_full"]),
    last_id=st.sampled_from(["right", "first", "missing"]),
    limit=st.sampled_from(["kept", "fixed", "ignored"]),
    refuses_at=st.none() | st.integers(1, 4),
    refuses_once=st.just(True),
)


@settings(max_examples=500, deadline=None)
@given(habits=known_habits | nameless_habits, resumed=st.none() | st.integers(0, 13))
@example(habits=Habits(cursor="ignored", has_more="missing"), resumed=None)
@example(habits=Habits(cursor="ignored", has_more="missing", limit="ignored"), resumed=None)
@example(habits=Habits(count=130, has_more="missing", page_size=120), resumed=None)
@example(habits=Habits(cursor="ignored", has_more="missing", limit="fixed"), resumed=None)
@example(habits=Habits(cursor="ignored", has_more="missing", limit="fixed", order="ignored"), resumed=None)
@example(habits=Habits(cursor="ignored", has_more="missing", page_size=1, order="ignored"), resumed=None)
@example(habits=Habits(count=4, has_more="true_when_full"), resumed=None)
def test_a_clean_certificate_never_has_fewer_rows_than_the_server(habits: Habits, resumed: int | None) -> None:
    first = 0 if resumed is None or resumed >= habits.count else resumed + 1
    walk = ListWalk(after=habits.ids[first - 1] if first else None)
    error = run_walk(Server(habits).fetch, walk, max_pages=200)
    expected = [item_id for number, item_id in enumerate(habits.ids) if number >= first and number != habits.nameless]
    assert error is not None or set(expected) <= set(walk.ids)


@settings(max_examples=200, deadline=None)
@given(habits=harmless_habits)
def test_a_server_that_follows_cursors_is_always_walked_to_its_end_in_its_order(habits: Habits) -> None:
    walk = ListWalk()
    assert run_walk(Server(habits).fetch, walk, max_pages=200) is None
    assert list(walk.ids) == habits.ids


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("whole_lists", [False, True])
def test_a_server_that_answers_the_same_to_everything_is_believed_only_if_it_is_known_to_be_whole(
    count: int, whole_lists: bool
) -> None:
    walk = ListWalk()
    habits = Habits(count=count, cursor="ignored", has_more="missing", limit="ignored", order="ignored")
    error = run_walk(Server(habits).fetch, walk, max_pages=200, whole_lists=whole_lists)
    assert list(walk.ids) == habits.ids
    assert (walk.ended_by == "whole_answer") is whole_lists
    assert whole_lists or "whole_lists = true" in str(error)
