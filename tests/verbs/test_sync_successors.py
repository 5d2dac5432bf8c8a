"""Whole syncs of conversations, responses and sessions: the warehouse has what the server has; it asks little again."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.extract.fetching import Progress
from pipeline.http.pacing import Clock
from pipeline.protocol.pages import Protocol
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.verbs.sync.flow import SyncResult
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import rebuild
from tests.attached import looking_into
from tests.syncs import read_all, read_tables, sync_here

# A conversation's responses are listed, or all responses are named by their ids; sessions are listed.
WAYS: tuple[tuple[Protocol, bool], ...] = (("responses", False), ("responses", True), ("agents", False))
NAMES = ("listed-responses", "named-responses", "sessions")
# Whose outputs wait for the next response; they are asked for again until there is one.
SEEN = {"threads": ["last_synced_at", "error"], "runs": ["walk_id", "page_index", "observed_at"]}


@pytest.fixture
def server() -> Iterator[RunningEmulator]:
    with running_emulator(threads=1) as server:
        yield server


def named_ids(server: RunningEmulator, *, phase: int) -> list[str]:
    histories = server.emulation.successors.histories
    return [history.after["id"] for history in histories if phase or history.before is not None]


def sync_way(server: RunningEmulator, folder: Path, way: tuple[Protocol, bool], *, phase: int = 0) -> SyncResult:
    return sync_here(server, folder, protocol=way[0], thread_ids=ids_of(server, way, phase=phase))


def ids_of(server: RunningEmulator, way: tuple[Protocol, bool], *, phase: int) -> Sequence[str] | None:
    return named_ids(server, phase=phase) if way[1] else None


_ANSWERED = "select count(*) from tool_calls where type = 'function' and coalesce(output, error) is not null"


def counted(folder: Path) -> dict[str, object]:
    """What the warehouse has, as the emulator's truth would say it."""
    names = ("prompt", "completion", "total", "cached", "cache_write", "reasoning")
    sums = ", ".join(f"coalesce(sum({name}_tokens), 0)::bigint" for name in names)
    with looking_into(warehouse_path(folder)):
        return {
            "runs_by_status": dict(read_all(folder, "select status, count(*) from runs group by all")),
            "calls_by_type": dict(read_all(folder, "select type, count(*) from tool_calls group by all")),
            "answered": read_all(folder, _ANSWERED)[0][0],
            "code_outputs": read_all(folder, "select count(*) from code_interpreter_outputs")[0][0],
            "search_results": read_all(folder, "select count(*) from file_search_results")[0][0],
            "tokens": read_all(folder, f"select {sums} from runs")[0],
            "steps": read_all(folder, f"select {sums} from run_steps")[0],
        }


def expected(server: RunningEmulator, way: tuple[Protocol, bool]) -> dict[str, object]:
    protocol, _ = way
    truths = server.successor_truth()
    chosen = [truths["agents"]] if protocol == "agents" else [truths["conversations"], truths["chains"]]
    sums: Counter[str] = Counter()
    for truth in chosen:
        sums += Counter(truth.tokens)
    names = ("input", "output", "total", "cached", "cache_write", "reasoning")
    tokens = tuple(sums[f"{name}_tokens"] for name in names)
    return {
        "runs_by_status": dict(sum((Counter(truth.runs_by_status) for truth in chosen), Counter())),
        "calls_by_type": dict(sum((Counter(truth.calls_by_type) for truth in chosen), Counter())),
        "answered": sum(truth.answered for truth in chosen),
        "code_outputs": sum(truth.code_outputs for truth in chosen),
        "search_results": sum(truth.search_results for truth in chosen),
        "tokens": tokens,
        "steps": tokens,
    }


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_the_warehouse_has_what_the_server_has_before_and_after_it_went_on(
    server: RunningEmulator, tmp_path: Path, way: tuple[Protocol, bool]
) -> None:
    first = sync_way(server, tmp_path, way)
    assert (first.verdict, counted(tmp_path)) == ("complete", expected(server, way))
    # Each list is gone on with where it says, with nothing refused.
    assert {entry["status"] for entry in server.requests()} == {200}

    server.advance()
    second = sync_way(server, tmp_path, way, phase=1)

    assert (second.verdict, counted(tmp_path)) == ("complete", expected(server, way))
    assert read_all(tmp_path, "select * from rejects") == []
    assert read_all(tmp_path, "select distinct status from threads") == [("synced",)]


_MOVED = """
select count(*), count(distinct after.thread_id), count(*) filter (where after.created_at > before.created_at),
    count(*) filter (where before.customer <> after.metadata->>'customer')
from runs as after
join (select thread_id, arg_max(metadata->>'customer', created_at) as customer, max(created_at) as created_at from runs
    where source = 'before' group by all) as before on before.thread_id = after.metadata->>'thread'
where after.source = 'after'
"""


def test_what_threads_went_on_as_is_whole_and_one_line_with_them(tmp_path: Path) -> None:
    with running_emulator(threads=60, moves=True) as server:
        for phase in (0, 1):
            sync_here(server, tmp_path / "after", protocol="responses")
            assert counted(tmp_path / "after") == expected(server, WAYS[0])
            if not phase:
                server.advance()
        sync_here(server, tmp_path / "both", source="before")
        sync_here(server, tmp_path / "both", protocol="responses", source="after")
        truth = server.successor_truth()["conversations"]

    assert read_all(tmp_path / "both", _MOVED) == [(truth.runs, truth.threads, truth.runs, 0)]
    query = read_sql_files("queries")["spend_by_protocol"]
    months = [row[1:6] for row in read_all(tmp_path / "both", query.text, query.params)]
    assert [after is not None for _, _, _, after, _ in months] == [*[False] * (len(months) - 1), True]
    wholes = [sum(filter(None, protocols)) for _, _, *protocols in months]
    assert [cost for cost, *_ in months] == pytest.approx(wholes, abs=Decimal("0.000002"))


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_a_second_sync_asks_once_for_what_is_unchanged_and_changes_nothing(
    server: RunningEmulator, tmp_path: Path, way: tuple[Protocol, bool]
) -> None:
    server.advance()
    sync_way(server, tmp_path, way, phase=1)
    before = read_tables(tmp_path, named=["runs", "run_steps", "tool_calls", "threads"], without=SEEN)
    server.clear_requests()

    progress = Progress()
    again = sync_here(server, tmp_path, protocol=way[0], thread_ids=ids_of(server, way, phase=1), progress=progress)

    assert (again.verdict, progress.runs_sealed) == ("complete", progress.runs)
    assert progress.runs > 0
    asked = Counter(entry["thread_id"] or entry["run_id"] for entry in server.requests())
    del asked[None]
    assert max(asked.values(), default=0) <= 1
    after = read_tables(tmp_path, named=["runs", "run_steps", "tool_calls", "threads"], without=SEEN)
    assert {name: frame.equals(after[name]) for name, frame in before.items()} == dict.fromkeys(before, True)


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_a_rebuild_makes_the_same_rows(server: RunningEmulator, tmp_path: Path, way: tuple[Protocol, bool]) -> None:
    sync_way(server, tmp_path, way)
    server.advance()
    sync_way(server, tmp_path, way, phase=1)
    before = read_tables(tmp_path, without={"loaded_parts": ["loaded_at"]})
    rebuild(raw_store(tmp_path), warehouse_path(tmp_path), wait_s=0.0)
    after = read_tables(tmp_path, without={"loaded_parts": ["loaded_at"]})
    assert {name: frame.equals(after[name]) for name, frame in before.items()} == dict.fromkeys(before, True)


# Each is known from a server or a gateway; `order_ignored` turns asc into desc.
OF_LISTS: tuple[dict[str, object], ...] = (
    {"fault": "order_ignored", "order": "desc"},
    {"fault": "cursor_ignored"},
    {"fault": "cursor_skips"},
    {"fault": "limit_capped", "length": 20},
    {"fault": "missing_has_more"},
    {"fault": "never_more"},
    {"fault": "items_repeat"},
    {"fault": "cursor_expires", "pages": 1},
    {"fault": "error_in_200"},
    {"fault": "remark_in_200"},
    {"fault": "remark_in_200", "list": "full"},
    {"fault": "status", "status": 404},
)
OF_OBJECTS: tuple[dict[str, object], ...] = (
    {"fault": "error_in_200"},
    {"fault": "half_json", "times": 1},
    {"fault": "status", "status": 404, "after_requests": 3},
    {"fault": "status", "status": 400, "after_requests": 3},
)
PLACES = (
    (WAYS[0], "list_responses", {"fault": "oldest_only", "length": 0}),
    # Lists of items alone were seen to end so.
    (WAYS[0], "list_conversation_items", {"fault": "oldest_only", "length": 100}),
    (WAYS[1], "list_input_items", {"fault": "oldest_only", "length": 100}),
    *((WAYS[0], route, fault) for route in ("list_responses", "list_conversation_items") for fault in OF_LISTS),
    *((WAYS[1], "list_input_items", fault) for fault in OF_LISTS),
    *((WAYS[1], "get_response", fault) for fault in OF_OBJECTS),
    *((WAYS[2], route, fault) for route in ("list_turns", "list_turn_items", "list_subagents") for fault in OF_LISTS),
    *((WAYS[2], "get_session", fault) for fault in OF_OBJECTS),
)
# The first one has subagents.
SESSIONS = {"list_turns": 4, "list_turn_items": 3}
TABLES = {
    "runs": ["walk_id", "page_index", "observed_at"],
    "run_steps": ["walk_id", "page_index"],
    "tool_calls": [],
    "code_interpreter_outputs": [],
    "file_search_results": [],
}


def longest(server: RunningEmulator, way: tuple[Protocol, bool], route: str) -> list[str]:
    """What has lists of more than a page: a conversation, a chain, a session with many turns or with many items."""
    account = server.emulation.successors
    if way[0] == "agents":
        return [account.sessions[SESSIONS.get(route, 0)].session["id"]]
    stories = [story for story in account.stories if (story.conversation_id is None) == way[1]]
    story = max(stories, key=lambda story: len(story.histories))
    return [history.after["id"] for history in story.histories] if way[1] else [str(story.conversation_id)]


def rows_of(folder: Path) -> dict[str, pl.DataFrame]:
    return read_tables(folder, named=list(TABLES), without=TABLES)


def differing(rows: dict[str, pl.DataFrame], others: dict[str, pl.DataFrame]) -> list[str]:
    return [name for name in TABLES if not rows[name].equals(others[name])]


@pytest.fixture(scope="module")
def moved() -> Iterator[RunningEmulator]:
    with running_emulator(threads=1, phase=1) as server:
        yield server


@pytest.fixture(scope="module")
def honest(
    moved: RunningEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[tuple[Protocol, bool], list[str]], dict[str, pl.DataFrame]]:
    """The rows of these threads, asked for in this way."""

    @cache
    def rows(way: tuple[Protocol, bool], ids: tuple[str, ...]) -> dict[str, pl.DataFrame]:
        folder = tmp_path_factory.mktemp("honest")
        sync_here(moved, folder, protocol=way[0], thread_ids=ids)
        return rows_of(folder)

    return lambda way, ids: rows(way, tuple(ids))


async def no_time(_: float) -> None:
    """What is tried again is tried at once."""


IMPATIENT = replace(Clock(), sleep=no_time)


def shown(place: object) -> str:
    return "-".join(str(value) for value in place.values()) if isinstance(place, dict) else str(place)


@pytest.mark.parametrize(("way", "route", "deviation"), PLACES, ids=shown)
def test_a_server_that_deviates_is_never_silently_short_and_never_doubled(
    moved: RunningEmulator,
    honest: Callable[[tuple[Protocol, bool], list[str]], dict[str, pl.DataFrame]],
    tmp_path: Path,
    way: tuple[Protocol, bool],
    route: str,
    deviation: dict[str, object],
) -> None:
    ids = longest(moved, way, route)
    rows = honest(way, ids)
    moved.set_faults([{"route": route, **deviation}])
    progress = Progress()
    result = sync_here(moved, tmp_path, protocol=way[0], thread_ids=ids, progress=progress, clock=IMPATIENT)
    moved.clear_faults()

    if result.verdict == "complete" and not (progress.hints or progress.threads_missing):
        assert differing(rows, rows_of(tmp_path)) == []
        return
    healed = sync_here(moved, tmp_path, protocol=way[0], thread_ids=ids)
    assert healed.verdict == "complete"
    assert differing(rows, rows_of(tmp_path)) == []
