"""Whole syncs of conversations, responses and sessions: the warehouse has what the server has; it asks little again."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.protocol.pages import Protocol
from pipeline.raw.places import raw_store
from pipeline.verbs.sync.flow import SyncResult
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import rebuild
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
    protocol, is_named = way
    ids: Sequence[str] | None = named_ids(server, phase=phase) if is_named else None
    return sync_here(server, folder, protocol=protocol, thread_ids=ids)


_ANSWERED = "select count(*) from tool_calls where type = 'function' and coalesce(output, error) is not null"


def counted(folder: Path) -> dict[str, object]:
    """What the warehouse has, as the emulator's truth would say it."""
    names = ("prompt", "completion", "total", "cached", "cache_write", "reasoning")
    sums = ", ".join(f"coalesce(sum({name}_tokens), 0)::bigint" for name in names)
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

    server.advance()
    second = sync_way(server, tmp_path, way, phase=1)

    assert (second.verdict, counted(tmp_path)) == ("complete", expected(server, way))
    assert read_all(tmp_path, "select * from rejects") == []
    assert read_all(tmp_path, "select distinct status from threads") == [("synced",)]


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_a_second_sync_asks_once_for_what_is_unchanged_and_changes_nothing(
    server: RunningEmulator, tmp_path: Path, way: tuple[Protocol, bool]
) -> None:
    server.advance()
    sync_way(server, tmp_path, way, phase=1)
    before = read_tables(tmp_path, named=["runs", "run_steps", "tool_calls", "threads"], without=SEEN)
    server.clear_requests()

    sync_way(server, tmp_path, way, phase=1)

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
DEVIATIONS = (
    {"fault": "order_ignored", "order": "desc"},
    {"fault": "order_ignored", "order": "asc"},
    {"fault": "oldest_only", "length": 100},
    {"fault": "cursor_gone_restarts"},
    {"fault": "cursor_ignored"},
    {"fault": "cursor_cycle"},
    {"fault": "limit_capped", "length": 20},
    {"fault": "limit_ignored"},
    {"fault": "missing_has_more"},
    {"fault": "has_more_no_cursor"},
    {"fault": "empty_page_more"},
    {"fault": "items_repeat"},
    {"fault": "never_more"},
    {"fault": "cursor_expires"},
    {"fault": "full_last_page_more"},
    {"fault": "error_in_200"},
    {"fault": "half_json", "times": 1},
    {"fault": "status", "status": 404, "after_requests": 3},
    {"fault": "status", "status": 400, "after_requests": 3},
)
ROUTES = {
    "responses": ("list_responses", "list_conversation_items", "list_input_items", "get_response"),
    "agents": ("list_turns", "list_turn_items", "list_subagents", "get_session"),
}


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda rule: "-".join(str(value) for value in rule.values()))
@pytest.mark.parametrize(
    ("way", "route"), [(way, route) for way in WAYS for route in ROUTES[way[0]]], ids=lambda value: str(value)
)
def test_a_server_that_deviates_is_never_silently_short_and_never_doubled(
    tmp_path: Path, way: tuple[Protocol, bool], route: str, deviation: dict[str, object]
) -> None:
    with running_emulator(threads=1, conversations=6) as server:
        server.advance()
        ids = named_ids(server, phase=1) if way[1] else None
        listed = ids or listed_ids(server, way[0])
        server.set_faults([{"route": route, **deviation}])
        result = sync_here(server, tmp_path, protocol=way[0], thread_ids=listed)
        if result.verdict == "complete":
            is_missing = read_all(tmp_path, "select count(*) from threads where status = 'missing'") != [(0,)]
            assert is_missing or counted(tmp_path) == expected(server, way)
        assert read_all(tmp_path, "select count(*) = count(distinct run_id) from runs") == [(True,)]

        server.clear_faults()
        healed = sync_here(server, tmp_path, protocol=way[0], thread_ids=listed, full=True)
        assert (healed.verdict, counted(tmp_path)) == ("complete", expected(server, way))


def listed_ids(server: RunningEmulator, protocol: Protocol) -> list[str]:
    account = server.emulation.successors
    if protocol == "agents":
        return [story.session["id"] for story in account.sessions]
    conversations = [story.conversation_id for story in account.stories if story.conversation_id]
    chains = [story for story in account.stories if not story.conversation_id]
    return [*conversations, *(history.after["id"] for story in chains for history in story.histories)]
