"""The product and a second, simple implementation read the same odd pages in the same way, values and rejects alike."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import RequestError, WalkError
from pipeline.flatten.frames import flatten
from pipeline.protocol.cursors import walk_list
from pipeline.protocol.lists import Ask, ListAnswer, ListWalk
from pipeline.protocol.pages import Page
from pipeline.protocol.wire import ListHead
from tests.landed import NOON, Json, landed_bodies
from tests.oracle import Reading, read_runs, read_steps
from tests.oracle_corpora import pages_of, runs, steps
from tests.oracle_paging import Answer, walk_pages
from tests.protocol.test_cursors_property import Habits, Server, known_habits, nameless_habits

RUN = {"object": "thread.run", "thread_id": "thread_1"}
STEP = {"object": "thread.run.step", "thread_id": "thread_1", "run_id": "run_1"}
# What every row says of where it came from.
WALK = {"source": "main", "walk_id": "walk_1"}
RUN_OWNER = {"thread_id": "thread_1"}
STEP_OWNER = {"thread_id": "thread_1", "run_id": "run_1"}
KEYS = {
    "runs": ("run_id",),
    "run_steps": ("step_id",),
    "tool_calls": ("step_id", "call_index"),
    "code_interpreter_outputs": ("step_id", "call_index", "output_index"),
    "file_search_results": ("step_id", "call_index", "result_index"),
    "rejects": ("page_index", "item_index", "json_path", "found"),
}
JSON_COLUMNS = ("tools", "metadata", "extra", "payload", "content", "attributes")


def same_json(value: Any) -> str | None:
    """A value in one spelling: 40000000000000.0 is 40000000000000, and fields stand in one order."""
    text = json.dumps(json.loads(json.dumps(value), parse_float=lambda digits: whole(float(digits))), sort_keys=True)
    return None if value is None else text


def whole(number: float) -> float:
    return int(number) if number.is_integer() else number


def reason_kind(reason: str) -> str:
    """The reason of a reject in the words of the simple implementation."""
    if not reason.startswith("Expected"):
        return reason
    _, _, got = reason.partition(", got ")
    kind = got.strip("`")
    return f"got {'number' if kind in ('int', 'float') else kind}" if got else "out of bounds"


def product_rows(frame: pl.DataFrame, key: Sequence[str]) -> list[Json]:
    rows = frame.to_dicts()
    for row in rows:
        for name in row.keys() & JSON_COLUMNS:
            row[name] = None if row[name] is None else same_json(json.loads(row[name]))
        if "reason" in row:
            row["reason"] = reason_kind(row["reason"])
    return sorted(rows, key=lambda row: [row[name] for name in key])


def simple_rows(rows: Sequence[Json], key: Sequence[str], *, fixed: Json) -> list[Json]:
    shown = [
        {name: same_json(value) if name in JSON_COLUMNS else value for name, value in (fixed | row).items()}
        for row in rows
    ]
    return sorted(shown, key=lambda row: [row[name] for name in key])


def compare(frames: dict[str, pl.DataFrame], simple: Reading, fixed: dict[str, Json]) -> None:
    """Every column of these tables, and in `rejects` that those of an item are numbered."""
    for table, values in fixed.items():
        frame = frames[table]
        if table == "rejects":
            numbers = frame.group_by("page_index", "item_index").agg(pl.col("reject_index").sort())["reject_index"]
            assert all(found == list(range(len(found))) for found in numbers.to_list())
            frame = frame.drop("reject_index")
        found = product_rows(frame, KEYS[table])
        assert found == simple_rows(getattr(simple, table), KEYS[table], fixed=values), table


@settings(max_examples=150, deadline=None)
@given(pages=pages_of(steps))
def test_both_read_the_same_rows_and_rejects_from_odd_pages(pages: list[bytes]) -> None:
    frames = flatten([landed_bodies(pages, first=STEP)])

    below = WALK | STEP_OWNER
    fixed: dict[str, Json] = {
        "run_steps": WALK | STEP_OWNER,
        "tool_calls": WALK | STEP_OWNER,
        "code_interpreter_outputs": below,
        "file_search_results": below,
        "rejects": WALK | STEP_OWNER | {"resource": "steps"},
    }
    compare(frames, read_steps(pages, STEP_OWNER), fixed)


@settings(max_examples=150, deadline=None)
@given(pages=pages_of(runs))
def test_both_read_the_same_runs_and_rejects_from_odd_pages(pages: list[bytes]) -> None:
    frames = flatten([landed_bodies(pages, first=RUN)])

    fixed: dict[str, Json] = {
        "runs": WALK | RUN_OWNER | {"observed_at": NOON},
        "rejects": WALK | RUN_OWNER | {"resource": "runs", "run_id": None},
    }
    compare(frames, read_runs(pages, RUN_OWNER), fixed)


# --- paging ----------------------------------------------------------------------------------------------------------

MOST = 30
ids = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "", None, 7])
envelopes = st.fixed_dictionaries(
    {"data": st.lists(ids.map(lambda item_id: {"id": item_id}), max_size=4)},
    optional={"has_more": st.sampled_from([True, True, True, None, False]), "last_id": ids},
)
moves = envelopes | envelopes | envelopes | st.sampled_from([400, 404, 422, 500])


def scripted(script: Sequence[Json | int]) -> Answer:
    """A server that answers with each of these in turn, whatever it is asked."""
    turns = iter(range(10_000))

    def answer(page: int, after: str | None, limit: int, order: str) -> bytes | int:
        move = script[next(turns) % len(script)]
        return move if isinstance(move, int) else json.dumps(move).encode()

    return answer


def habitual(habits: Habits) -> Answer:
    """A server that serves a list of its own by its habits."""
    server = Server(habits)

    def answer(page: int, after: str | None, limit: int, order: Any) -> bytes | int:
        try:
            head = asyncio.run(server.fetch(Ask(page, after, limit, order))).head
        except RequestError as error:
            return error.status or 0
        sent = {"data": [{"id": item.id} for item in head.data], "last_id": head.last_id}
        return json.dumps(sent if head.has_more is None else {**sent, "has_more": head.has_more}).encode()

    return answer


def walk_both(make: Callable[[], Answer], *, after: str | None = None, whole_lists: bool = False) -> None:
    """Both walk a server of the same kind: the same requests, pages and end."""
    asked: list[tuple[Any, ...]] = []
    asked_simply: list[tuple[Any, ...]] = []
    server, server_again = make(), make()

    async def fetch(ask: Ask) -> ListAnswer:
        question = (ask.page_index, ask.after, ask.limit, ask.order)
        asked.append(question)
        body = await asyncio.to_thread(server, *question)
        if isinstance(body, int):
            raise RequestError("/threads: no", status=body)
        page = Page(ask.page_index, ask.after, datetime(2026, 11, 20, tzinfo=UTC), None, body)
        return ListAnswer(page, msgspec.json.decode(body, type=ListHead))

    def answer(*question: Any) -> bytes | int:
        asked_simply.append(question)
        return server_again(*question)

    walk = ListWalk(after=after)
    try:
        asyncio.run(walk_list(fetch, walk, max_pages=MOST, whole_lists=whole_lists))
    except (WalkError, RequestError):
        assert walk.ended_by is None

    simple = walk_pages(answer, after=after, whole_lists=whole_lists, most=MOST)
    assert simple == ([page.body for page in walk.pages], walk.ended_by)
    assert asked_simply == asked


@settings(max_examples=150, deadline=None)
@given(
    script=st.lists(moves, min_size=1, max_size=6),
    honest=st.booleans(),
    after=st.sampled_from([None, "a"]),
    whole_lists=st.booleans(),
)
def test_both_walk_the_same_pages_to_the_same_end(
    script: list[Json | int], honest: bool, after: str | None, whole_lists: bool
) -> None:
    for number, envelope in enumerate(script if honest else []):
        if not isinstance(envelope, int):
            envelope["data"] = [{"id": f"{item['id']}{number}"} for item in envelope["data"]]

    walk_both(lambda: scripted(script), after=after, whole_lists=whole_lists)


@settings(max_examples=150, deadline=None)
@given(habits=known_habits | nameless_habits, whole_lists=st.booleans())
@example(habits=Habits(cursor="ignored", has_more="missing", limit="ignored"), whole_lists=False)
@example(habits=Habits(cursor="ignored", has_more="missing", limit="ignored", order="ignored"), whole_lists=True)
@example(habits=Habits(cursor="ignored", has_more="missing", limit="fixed"), whole_lists=True)
@example(habits=Habits(has_more="missing", refuses_at=1, refuses_once=True), whole_lists=False)
def test_both_walk_servers_of_any_habits_to_the_same_end(habits: Habits, whole_lists: bool) -> None:
    walk_both(lambda: habitual(habits), whole_lists=whole_lists)
