"""Each rule of the cursor guard with the pages that it is for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from pipeline.errors import RequestError, WalkError
from pipeline.protocol.cursors import CursorProof, walk_list
from pipeline.protocol.lists import Ask, ListAnswer, ListWalk
from pipeline.protocol.pages import Page
from pipeline.protocol.wire import ItemHead, ListHead

AT = datetime(2026, 11, 20, tzinfo=UTC)


def page(*ids: object, more: bool | None = False, last_id: object = None) -> ListHead:
    """A page with these ids."""
    return ListHead([ItemHead(item_id) for item_id in ids], has_more=more, last_id=last_id)


@dataclass
class Script:
    """Pages to be had in this order, the last for ever; an int is that status instead."""

    pages: Sequence[ListHead | int]
    asked: list[tuple[str | None, int]] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)

    async def fetch(self, ask: Ask) -> ListAnswer:
        answer = self.pages[min(len(self.asked), len(self.pages) - 1)]
        self.asked.append((ask.after, ask.limit))
        self.orders.append(ask.order)
        if isinstance(answer, int):
            raise RequestError("/threads: refused", status=answer)
        return ListAnswer(Page(ask.page_index, ask.after, AT, None, b""), answer)


def walk(*pages: ListHead | int, after: str | None = None, max_pages: int = 50) -> tuple[ListWalk, Script]:
    script, found = Script(pages), ListWalk(after=after)
    asyncio.run(walk_list(script.fetch, found, max_pages=max_pages))
    return found, script


def fail(*pages: ListHead | int, after: str | None = None, max_pages: int = 50) -> tuple[str, ListWalk, Script]:
    script, found = Script(pages), ListWalk(after=after)
    with pytest.raises((WalkError, RequestError)) as raised:
        asyncio.run(walk_list(script.fetch, found, max_pages=max_pages))
    assert found.ended_by is None
    return str(raised.value), found, script


# --- honest ends ------------------------------------------------------------------------------------------------------


def test_a_walk_follows_the_last_item_until_has_more_is_false() -> None:
    found, script = walk(page("a", "b", more=True), page("c", "d", more=True), page("e"))
    assert list(found.ids) == ["a", "b", "c", "d", "e"]
    assert found.ended_by == "has_more_false"
    assert script.asked == [(None, 100), ("b", 100), ("d", 100)]
    assert [(landed.page_index, landed.cursor) for landed in found.pages] == [(0, None), (1, "b"), (2, "d")]


def test_an_empty_list_is_complete() -> None:
    found, _ = walk(page())
    assert (found.items, found.ended_by, len(found.pages)) == (0, "has_more_false", 1)


def test_a_walk_starts_after_the_id_that_it_was_given() -> None:
    _, script = walk(page("c", more=True), page("d"), after="b")
    assert script.asked == [("b", 100), ("c", 100)]


def test_an_exactly_full_last_page_that_claims_more_ends_with_an_empty_one() -> None:
    found, script = walk(page("a", more=True), page("b", more=True), page(more=False), page("b"))
    assert (list(found.ids), found.ended_by) == (["a", "b"], "has_more_false")
    # The cursor before still leads to the last item.
    assert [after for after, _ in script.asked] == [None, "a", "b", "a"]


def test_without_has_more_an_empty_page_is_the_end() -> None:
    found, script = walk(page("a", "b", more=None), page("c", more=None), page(more=None))
    assert list(found.ids) == ["a", "b", "c"]
    assert found.ended_by == "empty_page"
    assert script.asked == [(None, 100), ("b", 100), ("c", 100)]


def test_without_has_more_an_answer_beyond_the_limit_is_not_yet_known_to_be_everything() -> None:
    first = [f"run_{number}" for number in range(150)]
    rest = [f"run_{number}" for number in range(150, 200)]
    found, _ = walk(page(*first, more=None), page(*rest, more=None), page(more=None), page("run_199", more=None))
    assert (found.items, found.ended_by) == (200, "empty_page")


def test_without_has_more_the_same_answer_to_any_cursor_and_limit_is_everything() -> None:
    everything = page("a", "b", "c", more=None)
    found, script = walk(everything, everything, everything, page("c", "b", "a", more=None))
    assert (list(found.ids), found.ended_by, len(found.pages)) == (["a", "b", "c"], "whole_answer", 1)
    assert script.asked == [(None, 100), ("c", 100), ("c", 1), (None, 100)]
    assert script.orders == ["asc", "asc", "asc", "desc"]


def test_pages_that_overlap_count_each_item_once() -> None:
    found, _ = walk(page("a", "b", more=True), page("b", "c", more=True), page("c", "d"))
    assert (list(found.ids), found.items) == (["a", "b", "c", "d"], 4)


def test_the_last_item_outranks_a_last_id_that_differs() -> None:
    _, script = walk(page("a", "b", more=True, last_id="a"), page("c"))
    assert script.asked[1] == ("b", 100)


@pytest.mark.parametrize("unusable", [None, "", True, 7.5, ["b"]])
def test_last_id_serves_where_the_last_item_has_no_usable_id(unusable: object) -> None:
    found, script = walk(page("a", unusable, more=True, last_id="b"), page("c"))
    assert script.asked[1] == ("b", 100)
    assert found.items == 3


# --- an end that is not believed before it is proven ------------------------------------------------------------------


def ids(count: int, first: int = 0) -> list[str]:
    return [f"run_{number}" for number in range(first, first + count)]


@pytest.mark.parametrize("length", [10, 20, 25, 50, 100, 200, 250, 500, 1000])
def test_a_page_as_long_as_a_limit_that_says_no_more_is_asked_on(length: int) -> None:
    found, script = walk(page(*ids(length)), page(*ids(5, length)))
    assert (found.items, found.ended_by) == (length + 5, "has_more_false")
    assert script.asked == [(None, 100), (f"run_{length - 1}", 100)]


@pytest.mark.parametrize("length", [1, 9, 11, 99, 101])
def test_a_page_of_another_length_that_says_no_more_is_the_last(length: int) -> None:
    found, script = walk(page(*ids(length)), page(*ids(5, length)))
    assert (found.items, len(script.asked)) == (length, 1)


def test_a_page_as_long_as_the_first_one_that_says_no_more_is_asked_on() -> None:
    found, _ = walk(page(*ids(30), more=True), page(*ids(30, 30)), page(*ids(30, 60)), page(*ids(3, 90)))
    assert found.items == 93


def test_a_full_last_page_that_says_so_is_believed_once_an_empty_one_follows() -> None:
    found, script = walk(page(*ids(100)), page())
    assert (found.items, found.ended_by, len(script.asked)) == (100, "has_more_false", 2)


def test_a_full_page_again_is_no_end() -> None:
    message, _, _ = fail(page(*ids(100), more=True), page(*ids(100, 100)), page(*ids(100, 100)))
    assert message == "page 3 has only items of earlier pages: the cursor is ignored or goes in a circle"


def test_a_server_without_cursors_whose_list_is_as_long_as_a_limit_has_to_turn_it_round() -> None:
    everything = page(*ids(20))
    found, _ = walk(everything, everything, everything, page(*ids(20)[::-1]))
    assert (found.items, found.ended_by) == (20, "whole_answer")


def test_what_falls_short_is_asked_on_whatever_the_page_says() -> None:
    script, found = Script([page("a", "b"), page("c"), page()]), ListWalk()
    asyncio.run(walk_list(script.fetch, found, falls_short=lambda walk: walk.items < 4))
    assert list(found.ids) == ["a", "b", "c"]
    assert [after for after, _ in script.asked] == [None, "b", "c"]


@pytest.mark.parametrize("nowhere", [page(), page(more=None), page(more=True), page("a", "b", more=True), 400, 404])
def test_where_the_last_item_leads_nowhere_another_last_id_is_followed(nowhere: ListHead | int) -> None:
    found, script = walk(
        page("a", "b", more=True, last_id="cursor_1"), nowhere, page("c", more=True, last_id="cursor_2"), page("d")
    )
    assert list(found.ids) == ["a", "b", "c", "d"]
    assert [after for after, _ in script.asked] == [None, "b", "cursor_1", "cursor_2"]


@pytest.mark.parametrize("more", [True, None])
def test_an_empty_page_for_a_cursor_that_is_gone_is_no_end(more: bool | None) -> None:
    first = ids(10)
    found, script = walk(page(*first, more=more), page(), page(), page(*first[:9], "x"), page())
    assert list(found.ids) == [*first[:9], "x"]
    assert [after for after, _ in script.asked][:4] == [None, "run_9", "run_8", None]


def test_a_server_that_never_knows_its_cursors_is_an_error() -> None:
    message, found, _ = fail(*[page("a", "b", more=True), page(), page()] * 2)
    assert message.startswith("page 2 is empty, and so is what the server answers to the cursor before")
    assert list(found.ids) == ["a", "b"]


# --- a cursor that the server refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_cursor_that_is_refused_in_the_middle_starts_the_walk_over(status: int) -> None:
    found, script = walk(page("a", more=True), status, page("a", more=True), page("b"))
    assert (list(found.ids), len(found.pages)) == (["a", "b"], 2)
    assert [after for after, _ in script.asked] == [None, "a", None, "a"]


def test_starting_over_goes_back_to_where_the_walk_began() -> None:
    found, script = walk(page("c", more=True), 400, page("c", more=True), page("d"), after="b")
    assert [after for after, _ in script.asked] == ["b", "c", "b", "c"]
    assert list(found.ids) == ["c", "d"]


def test_a_walk_starts_over_only_once() -> None:
    message, _, script = fail(page("a", more=True), 400, page("a", more=True), 400)
    assert message == "/threads: refused"
    assert len(script.asked) == 4


def test_a_first_page_that_is_refused_is_not_asked_again() -> None:
    _, _, script = fail(404)
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [500, 429, 501])
def test_another_error_in_the_middle_ends_the_walk(status: int) -> None:
    _, found, script = fail(page("a", more=True), status)
    assert (len(script.asked), list(found.ids)) == (2, ["a"])


# --- dishonest pages --------------------------------------------------------------------------------------------------


def test_the_same_page_again_is_an_error() -> None:
    message, found, script = fail(page("a", "b", more=True))
    assert message == "page 2 has only items of earlier pages: the cursor is ignored or goes in a circle"
    assert (len(script.asked), list(found.ids)) == (2, ["a", "b"])


def test_pages_that_go_in_a_circle_are_an_error() -> None:
    message, _, script = fail(page("a", more=True), page("b", more=True), page("a", more=True))
    assert message == "page 3 has only items of earlier pages: the cursor is ignored or goes in a circle"
    assert len(script.asked) == 3


def test_a_cursor_that_was_used_before_is_an_error_even_among_new_items() -> None:
    message, _, _ = fail(page("a", more=True), page("b", "a", more=True))
    assert message == "page 2 leads back to a cursor that was used before"


def test_a_page_that_leads_back_to_where_a_resumed_walk_began_is_an_error() -> None:
    message, _, _ = fail(page("c", "b", more=True), after="b")
    assert message == "page 1 leads back to a cursor that was used before"


def test_an_empty_page_that_claims_more_is_an_error() -> None:
    message, _, _ = fail(page("a", more=True), page(more=True))
    assert message == "page 2 is empty but says has_more"


def test_an_empty_first_page_that_claims_more_is_an_error() -> None:
    assert fail(page(more=True, last_id="z"))[0] == "page 1 is empty but says has_more"


@pytest.mark.parametrize("unusable", [None, "", False, 7.5])
def test_more_without_a_usable_cursor_is_an_error(unusable: object) -> None:
    message, _, _ = fail(page("a", unusable, more=True, last_id=unusable))
    assert message == "page 1 says there is more but has no usable cursor"


def test_a_page_without_any_id_that_claims_more_is_an_error() -> None:
    assert "page 1" in fail(page(None, None, more=True))[0]


def test_without_has_more_a_cursor_that_is_ignored_under_a_limit_that_is_kept_is_an_error() -> None:
    message, _, script = fail(page("a", "b", more=None), page("a", "b", more=None), page("a", more=None))
    assert message.startswith("the server ignores the cursor and has no has_more to believe")
    assert len(script.asked) == 3


def test_without_has_more_an_answer_that_shows_other_items_from_the_other_end_is_cut() -> None:
    always_two = page("a", "b", more=None)
    message, found, _ = fail(always_two, always_two, always_two, page("e", "d", more=None))
    assert message.startswith("the server cuts its answers, ignores the cursor and has no has_more to believe")
    assert list(found.ids) == ["a", "b"]


@pytest.mark.parametrize("ids", [["a"], ["a", "b"]])
def test_the_same_answer_to_every_limit_cursor_and_order_proves_nothing(ids: list[str]) -> None:
    message, found, _ = fail(page(*ids, more=None))
    assert "nothing shows that this is the whole list" in message
    assert "whole_lists = true" in message
    assert list(found.ids) == ids


def test_without_has_more_a_later_page_again_is_an_error() -> None:
    message, _, _ = fail(page("a", more=None), page("b", more=None), page("b", more=None))
    assert message == "page 3 has only items of earlier pages: the cursor is ignored or goes in a circle"


def test_a_page_that_repeats_items_from_the_middle_is_an_error() -> None:
    # Sorted by time but compared by id: what sorts before the cursor comes again, what sorts after it may be skipped.
    message, _, _ = fail(page("a", "d", "c", more=True), page("d", "e"))
    assert message.startswith("page 2 repeats items that do not come last before it")


def test_new_ids_for_ever_end_at_the_bound() -> None:
    pages = [page(f"run_{number}", more=True) for number in range(60)]
    message, found, _ = fail(*pages, max_pages=7)
    assert message == "no end after 7 pages"
    assert found.items == 7


def test_a_list_of_exactly_as_many_pages_as_the_bound_is_complete() -> None:
    found, _ = walk(page("a", more=True), page("b", more=True), page("c"), max_pages=3)
    assert found.ended_by == "has_more_false"


# --- cursors that skip ------------------------------------------------------------------------------------------------


@dataclass
class Skipping:
    """A list of numbered items whose cursors skip some, or begin with some once more where `count` is below 0.

    Cursors are ids of items, or, with `prefix`, of the server's own; the first items may be `nameless`.
    """

    length: int
    count: int = 1
    prefix: str = ""
    nameless: int = 0
    refuses: bool = False
    asked: list[tuple[str | None, int]] = field(default_factory=list)

    async def fetch(self, ask: Ask) -> ListAnswer:
        self.asked.append((ask.after, ask.limit))
        if self.refuses and ask.limit == 1:
            raise RequestError("/threads: refused", status=400)
        assert ask.after is None or ask.after.startswith(self.prefix), "the cursor is none of this server's"
        start = 0 if ask.after is None else max(0, int(ask.after.removeprefix(self.prefix)) + 1 + self.count)
        stop = min(start + min(ask.limit, 10), self.length)
        last_id = f"{self.prefix}{stop - 1}" if self.prefix else None
        ids = [None if number < self.nameless else str(number) for number in range(start, stop)]
        head = page(*ids, more=stop < self.length, last_id=last_id)
        return ListAnswer(Page(ask.page_index, ask.after, AT, None, b""), head)


@dataclass
class Deleting(Skipping):
    """One of which items are deleted after so many requests."""

    deleted: tuple[int, ...] = ()
    after_requests: int = 2

    async def fetch(self, ask: Ask) -> ListAnswer:
        self.asked.append((ask.after, ask.limit))
        gone = self.deleted if len(self.asked) > self.after_requests else ()
        left = [number for number in range(self.length) if number not in gone]
        if ask.after is not None and int(ask.after.removeprefix(self.prefix)) not in left:
            raise RequestError("/threads: refused", status=400)
        place = 0 if ask.after is None else left.index(int(ask.after.removeprefix(self.prefix))) + 1 + self.count
        found = left[place : place + min(ask.limit, 10)]
        last_id = f"{self.prefix}{found[-1]}" if self.prefix else None
        head = page(*map(str, found), more=found[-1] != left[-1], last_id=last_id)
        return ListAnswer(Page(ask.page_index, ask.after, AT, None, b""), head)


def walk_all(*servers: Skipping, short: bool = False) -> list[str | None]:
    """How walks of lists of one server end, which may be short of something."""
    proof = CursorProof()

    async def run() -> list[str | None]:
        ended: list[str | None] = []
        for server in servers:
            try:
                own = bool(server.prefix)
                await walk_list(server.fetch, ListWalk(), proof=proof, by_last_id=own, falls_short=lambda _: short)
            except WalkError as error:
                ended.append(str(error))
            else:
                ended.append(None)
        return ended

    return asyncio.run(run())


# By the prefix of the server's own cursors: how many requests it takes to know whether they skip.
PROOFS = {"": 1, "next-": 2}


@pytest.mark.parametrize("prefix", PROOFS)
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_a_cursor_that_skips_items_is_found_at_the_edge_of_the_first_page(count: int, prefix: str) -> None:
    first, second = Skipping(35, count, prefix), Skipping(35, count, prefix)

    ended = walk_all(Skipping(5, prefix=prefix), first, second)

    assert [error and "its cursor skips items" in error for error in ended] == [None, True, True]
    # Asked once of a server, of its first list of two pages.
    assert [limit for _, limit in first.asked + second.asked].count(1) == PROOFS[prefix]


@pytest.mark.parametrize("prefix", PROOFS)
@pytest.mark.parametrize("count", [0, -1, -4])
def test_a_cursor_that_leads_to_the_next_item_or_repeats_some_is_asked_about_once(count: int, prefix: str) -> None:
    lists = [Skipping(35, count, prefix), Skipping(45, count, prefix), Skipping(5, count, prefix)]

    assert walk_all(*lists) == [None, None, None]
    assert [limit for each in lists for _, limit in each.asked].count(1) == PROOFS[prefix]


@pytest.mark.parametrize(
    ("prefix", "deleted"),
    [
        ("", (9,)),
        ("", (8,)),
        ("", (8, 9)),
        ("", (7, 8, 9)),
        ("", (10,)),
        ("next-", (1,)),
        ("next-", (0,)),
        ("next-", (0, 1)),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_item_that_is_deleted_before_the_question_makes_no_server_skip(
    prefix: str, deleted: tuple[int, ...], count: int
) -> None:
    first, second = Deleting(35, count, prefix, deleted=deleted), Deleting(35, count, prefix)

    ended = walk_all(first, second)

    # The first list may tell nothing, the next one does.
    assert (ended[0] is None or count > 0, ended[1] is None) == (True, count == 0)


@pytest.mark.parametrize("nameless", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_own_cursors_are_asked_about_where_items_have_ids(count: int, nameless: int) -> None:
    server = Skipping(35, count, "next-", nameless=nameless)

    [error] = walk_all(server)

    assert (error is not None) == (count > 0)
    # After the first item that has an id, if the next one has one too.
    assert (f"next-{nameless}", 1) in server.asked


def test_a_server_that_refuses_to_tell_is_not_asked_for_ever() -> None:
    lists = [Skipping(35, 0, refuses=True) for _ in range(6)]

    assert walk_all(*lists) == [None] * 6
    assert [limit for each in lists for _, limit in each.asked].count(1) == 3


def test_a_list_that_is_short_of_something_is_asked_about_at_the_edge_of_each_page() -> None:
    ended = walk_all(Skipping(35, 0), Skipping(35, 1), short=True)

    assert ended[0] is None
    assert ended[1] is not None
    assert "its cursor skips items" in ended[1]
