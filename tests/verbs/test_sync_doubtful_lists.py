"""Lists that say of themselves, or of which something else says, that they are not whole: no sync takes them for it."""

import asyncio
import json
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.extract.protocols import list_thread_ids
from pipeline.protocol.pages import Protocol
from tests.answered import answered, called, listed, response, session, turn
from tests.archived import import_here, run_object, step_object, write_json
from tests.by_path import Json, Paths, client_of, sync_all
from tests.syncs import read_all

RUNS, STEPS = "/threads/thread_1/runs", "/threads/thread_1/runs/run_1/steps"
TURNS = "/agents/sessions/sess_a/turns"
# One place of each protocol where a list is: all answers of the server, and the thread that it is of.
CLASSIC: Paths = {RUNS: listed(run_object(total=10)), STEPS: listed(step_object("step_1"))}
RESPONSES: Paths = {"/responses?conv_a": listed(response())}
AGENTS: Paths = {
    "/agents/sessions/sess_a": session(agent={"id": "agent_a", "model": "gpt-5.4", "multi_agent": {"enabled": False}}),
    TURNS: listed(turn()),
    f"{TURNS}/turn_a/items": listed(),
}
PLACES: dict[str, tuple[Paths, Protocol, str]] = {
    RUNS: (CLASSIC, "assistants", "thread_1"),
    STEPS: (CLASSIC, "assistants", "thread_1"),
    "/responses?conv_a": (RESPONSES, "responses", "conv_a"),
    TURNS: (AGENTS, "agents", "sess_a"),
    f"{TURNS}/turn_a/items": (AGENTS, "agents", "sess_a"),
}
REMARKS: list[Json] = [
    {"message": "upstream timed out"},
    {"messages": ["shard 3 did not answer"]},
    {"detail": "Not Found"},
    {"details": [{"loc": ["query"], "msg": "bad"}]},
    {"error": "backend"},
    {"errors": [{"message": "x"}]},
    {"warnings": ["results may be incomplete"]},
    {"warning": {"code": "partial"}},
    {"partial": True},
    {"is_partial": "true"},
    {"truncated": True},
    {"timed_out": True},
    {"incomplete": 1},
    {"complete": False},
    {"success": False},
    {"status": "partial"},
    {"status": 503},
    {"failures": [{"shard": 3}]},
]
NOTHING_SAID: list[Json] = [
    {"message": None, "warnings": [], "partial": False, "detail": {}, "error": None, "truncated": 0},
    {"message": "success", "code": 0, "status": "ok", "success": True, "complete": True},
    {"error": {"code": None, "message": ""}, "warnings": [None, ""], "partial": "false", "status": 200},
]


def doubted(paths: Paths, place: str, said: Json, *, empty: bool) -> Paths:
    found = paths[place]
    assert isinstance(found, dict)
    return {**paths, place: found | ({"data": []} if empty else {}) | said}


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "not empty"])
@pytest.mark.parametrize("said", REMARKS, ids=lambda said: "-".join(said))
@pytest.mark.parametrize("place", [RUNS, "/responses?conv_a"])
def test_a_list_that_says_it_may_not_be_all_is_no_proof(tmp_path: Path, place: str, said: Json, empty: bool) -> None:
    paths, protocol, thread_id = PLACES[place]

    result, failures = sync_all(tmp_path, doubted(paths, place, said, empty=empty), protocol, thread_id)

    assert result.verdict == "incomplete"
    [failure] = failures
    assert failure.startswith(f"{thread_id}: {place.partition('?')[0]}: ")
    assert any(word in failure for word in (*said, "with an error"))


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "not empty"])
@pytest.mark.parametrize("place", PLACES)
def test_wherever_it_is_said(tmp_path: Path, place: str, empty: bool) -> None:
    paths, protocol, thread_id = PLACES[place]

    result, [failure] = sync_all(tmp_path, doubted(paths, place, {"partial": True}, empty=empty), protocol, thread_id)

    assert result.verdict == "incomplete"
    assert "partial: true" in failure
    # What came of the list is kept.
    assert empty or read_all(tmp_path, "select count(*) from runs") == [(1,)]


@pytest.mark.parametrize("said", NOTHING_SAID, ids=["empty values", "all is well", "empty within"])
@pytest.mark.parametrize("place", PLACES)
def test_a_list_beside_which_nothing_is_said_is_whole(tmp_path: Path, place: str, said: Json) -> None:
    paths, protocol, thread_id = PLACES[place]

    result, failures = sync_all(tmp_path, doubted(paths, place, said, empty=False), protocol, thread_id)

    assert (result.verdict, failures) == ("complete", [])


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "not empty"])
@pytest.mark.parametrize("said", [{"message": "2 runs found"}, {"warnings": ["deprecated"]}, {"partial": True}])
def test_what_a_profile_knows_to_mean_nothing_is_not_heeded(tmp_path: Path, said: Json, empty: bool) -> None:
    paths = doubted(CLASSIC, RUNS, said, empty=empty)

    result, failures = sync_all(tmp_path, paths, "assistants", "thread_1", odd_fields=list(said))

    assert (result.verdict, failures) == ("complete", [])


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "not empty"])
@pytest.mark.parametrize(
    ("protocol", "path"),
    [
        ("assistants", "/threads"),
        ("responses", "/conversations"),
        ("responses", "/responses"),
        ("agents", "/agents/sessions"),
    ],
)
def test_a_list_of_threads_that_may_not_be_all_is_none(protocol: Protocol, path: str, empty: bool) -> None:
    whole = {"/threads": listed(), "/conversations": listed(), "/responses": listed(), "/agents/sessions": listed()}
    said = listed(*([] if empty else [{"id": "one"}]), partial=True)

    async def find() -> list[str]:
        async with client_of(whole | {path: said}) as client:
            return await list_thread_ids(client, protocol)

    with pytest.raises(PipelineError, match=f"^{path}: .*partial: true"):
        asyncio.run(find())


# --- what something else tells of -------------------------------------------------------------------------------------


def conversation_of(*listed_ids: str, all_ids: tuple[str, ...] = (), items: tuple[Json, ...] = ()) -> Paths:
    """A server with one conversation: what its own list has, and what the list of all responses has of it."""
    by_id = {f"/responses/{one}": response(response_id=one) for one in all_ids}
    return {
        "/conversations": listed({"id": "conv_a", "object": "conversation"}),
        "/responses": listed(*(response(response_id=one) for one in all_ids)),
        "/responses?conv_a": listed(*(response(response_id=one) for one in listed_ids)),
        "/conversations/conv_a/items": listed(*items),
        **by_id,
    }


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("own", "every"), [((), ("a",)), ((), ("a", "b")), (("b",), ("a", "b"))])
def test_a_conversation_has_what_the_list_of_all_responses_has_of_it(
    tmp_path: Path, own: tuple[str, ...], every: tuple[str, ...], full: bool
) -> None:
    result, [failure] = sync_all(tmp_path, conversation_of(*own, all_ids=every), "responses", full=full)

    assert result.verdict == "incomplete"
    assert failure.startswith(f"conv_a: {len(every)} run")
    assert f"its own list has {len(own)}" in failure


@pytest.mark.parametrize("every", [(), ("a",), ("b", "a", "b")])
def test_a_conversation_that_has_them_is_whole(tmp_path: Path, every: tuple[str, ...]) -> None:
    result, failures = sync_all(tmp_path, conversation_of(*dict.fromkeys(every), all_ids=every), "responses")

    assert (result.verdict, failures) == ("complete", [])


def message_of(response_id: str | None) -> Json:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [], "response_id": response_id}


@pytest.mark.parametrize("own", [(), ("b",)], ids=["no other", "another"])
def test_a_conversation_has_the_responses_that_its_items_are_of(tmp_path: Path, own: tuple[str, ...]) -> None:
    paths = conversation_of(*own, all_ids=("a",), items=(message_of("a"),))
    if own:
        # Only where outputs of calls are looked for are the items of others read.
        paths = {**paths, "/responses?conv_a": listed(response(called(), response_id="b"))}

    result, [failure] = sync_all(tmp_path, paths, "responses", "conv_a")

    assert result.verdict == "incomplete"
    assert failure.startswith("conv_a: /responses: ")
    assert "an item of the conversation is of response a, which is there and not listed" in failure


@pytest.mark.parametrize("named", [None, "gone"], ids=["of none", "of one that has expired"])
def test_items_of_no_response_that_is_there_prove_nothing(tmp_path: Path, named: str | None) -> None:
    result, _ = sync_all(tmp_path, conversation_of(items=(message_of(named),)), "responses", "conv_a")

    assert result.verdict == "complete"


def test_a_response_that_is_there_and_of_another_conversation_proves_nothing(tmp_path: Path) -> None:
    other = {"/responses/a": response(response_id="a", conversation={"id": "conv_b"})}

    result, _ = sync_all(tmp_path, {**conversation_of(items=(message_of("a"),)), **other}, "responses", "conv_a")

    assert result.verdict == "complete"


OPEN_RUN = run_object(total=None, status="in_progress", completed_at=None)
CHILD = {"id": "call_1", "type": "connected_agent", "connected_agent": {"thread_id": "thread_1", "run_id": "run_1"}}
PARENT: Paths = {
    "/threads/thread_0/runs": listed(run_object("run_0", thread_id="thread_0", total=10)),
    "/threads/thread_0/runs/run_0/steps": listed(
        step_object(
            "step_0",
            run_id="run_0",
            thread_id="thread_0",
            type="tool_calls",
            step_details={"type": "tool_calls", "tool_calls": [CHILD]},
        )
    ),
}
EMPTY: Paths = {RUNS: listed(), STEPS: listed()}


def tell(folder: Path, by: str) -> None:
    """Let the warehouse know of run_1 of thread_1."""
    if by == "an archive":
        import_here(folder, write_json(folder / "dump.json", [run_object()]), source="main")
    elif by == "a connected agent":
        sync_all(folder, PARENT, "assistants", "thread_0")
    else:
        run = OPEN_RUN if by == "an open run" else run_object(total=10)
        sync_all(folder, {**CLASSIC, RUNS: listed(run)}, "assistants", "thread_1")


@pytest.mark.parametrize("by", ["a run that ended", "an open run", "an archive", "a connected agent"])
def test_a_thread_without_runs_of_which_runs_are_known_is_named_until_it_is_asked_for_in_full(
    tmp_path: Path, by: str
) -> None:
    tell(tmp_path, by)

    for _ in range(2):
        result, [failure] = sync_all(tmp_path, EMPTY, "assistants", "thread_1")
        assert result.verdict == "incomplete"
        assert failure.startswith("thread_1: ")
        assert "sync it once with --full" in failure

    for full in (True, False):
        result, failures = sync_all(tmp_path, EMPTY, "assistants", "thread_1", full=full)
        assert (result.verdict, failures) == ("complete", [])


@pytest.mark.parametrize("by", ["a run that ended", "an open run"])
def test_a_thread_that_lacks_some_of_its_runs_says_so(tmp_path: Path, by: str) -> None:
    tell(tmp_path, by)
    first, second = run_object(total=10), run_object("run_2", total=10)
    steps = {STEPS: CLASSIC[STEPS], f"{RUNS}/run_2/steps": listed(step_object("step_2", run_id="run_2"))}
    others = {RUNS: listed(second), **steps}
    sync_all(tmp_path, {RUNS: listed(first, second), **steps}, "assistants", "thread_1")

    result, [hint] = sync_all(tmp_path, others, "assistants", "thread_1")

    assert result.verdict == "complete"
    assert "1 run that were listed before are not any more (such as run_1)" in hint


# --- what stands twice ------------------------------------------------------------------------------------------------


def twice(body: Json, name: str, last: str) -> str:
    """An object as a text that has a member once more at its end."""
    return f'{json.dumps(body)[:-1]}, "{name}": {last}}}'


@pytest.mark.parametrize("last", ["[]", "[ ]"])
@pytest.mark.parametrize("place", PLACES)
def test_a_list_whose_data_stand_twice_the_last_time_empty_is_none(tmp_path: Path, place: str, last: str) -> None:
    paths, protocol, thread_id = PLACES[place]
    body = paths[place] | {"data": paths[place]["data"] or [called()]}

    result, [failure] = sync_all(tmp_path, {**paths, place: twice(body, "data", last)}, protocol, thread_id)

    assert result.verdict == "incomplete"
    assert "data stands in it twice, the last time empty" in failure


def listed_twice(item: Json, name: str, last: str) -> str:
    return f'{{"object": "list", "data": [{twice(item, name, last)}], "has_more": false}}'


@pytest.mark.parametrize(
    ("place", "item", "name", "last"),
    [
        (RUNS, run_object(total=10), "usage", "null"),
        (STEPS, step_object("step_1"), "usage", "null"),
        ("/responses?conv_a", response(), "usage", "null"),
        ("/responses?conv_a", response(called(), answered()), "output", "[]"),
        (TURNS, turn(), "usage", "null"),
    ],
)
def test_what_an_item_says_and_takes_back_further_on_is_lost_and_said(
    tmp_path: Path, place: str, item: Json, name: str, last: str
) -> None:
    paths, protocol, thread_id = PLACES[place]

    result, _ = sync_all(tmp_path, {**paths, place: listed_twice(item, name, last)}, protocol, thread_id)

    assert result.verdict == "incomplete"
    [lost] = result.lost
    assert (lost.place, lost.first["reason"]) == (name, "it stands twice, the last time empty")


@pytest.mark.parametrize("last", ["null", json.dumps(run_object(total=10)["usage"])])
def test_what_stands_twice_and_says_the_same_or_more_the_last_time_is_read(tmp_path: Path, last: str) -> None:
    item = run_object(total=None) if last != "null" else run_object(total=10, error={"a": 1})
    name = "usage" if last != "null" else "last_error"

    result, failures = sync_all(tmp_path, {**CLASSIC, RUNS: listed_twice(item, name, last)}, "assistants", "thread_1")

    assert (result.verdict, failures, result.lost) == ("complete", [], [])


# --- other words for more ---------------------------------------------------------------------------------------------

MORE: list[Json] = [
    {"next": "/threads/thread_1/runs?page=2"},
    {"next_cursor": "abc"},
    {"next_page": 2},
    {"nextPageToken": "abc"},
    {"@odata.nextLink": "https://one.example/v1"},
    {"has_next": True},
    {"hasMore": True},
]


@pytest.mark.parametrize("said", MORE, ids=lambda said: next(iter(said)))
def test_a_list_that_ends_and_names_what_comes_next_is_asked_on(tmp_path: Path, said: Json) -> None:
    paths = CLASSIC | {RUNS: CLASSIC[RUNS] | said}
    asked: list[str] = []

    result, failures = sync_all(tmp_path, paths, "assistants", "thread_1", asked=asked)

    assert (result.verdict, failures) == ("complete", [])
    assert any("after=run_1" in url for url in asked)
    assert not any("after=" in url for url in asked if "/steps" in url)


@pytest.mark.parametrize("name", ["total", "total_count", "count"])
def test_a_list_that_has_less_than_it_says_is_not_whole(tmp_path: Path, name: str) -> None:
    paths = CLASSIC | {RUNS: CLASSIC[RUNS] | {name: 57}}

    result, [failure] = sync_all(tmp_path, paths, "assistants", "thread_1")
    known, _ = sync_all(tmp_path / "known", paths, "assistants", "thread_1", odd_fields=[name])

    assert (result.verdict, known.verdict) == ("incomplete", "complete")
    assert "it says that it has 57 items and ends after 1" in failure


@pytest.mark.parametrize(
    "said", [{"total": 1}, {"count": 0}, {"total_count": None}, {"total": "57"}, {"next_cursor": ""}]
)
def test_a_list_that_has_what_it_says_is_whole(tmp_path: Path, said: Json) -> None:
    result, failures = sync_all(tmp_path, CLASSIC | {RUNS: CLASSIC[RUNS] | said}, "assistants", "thread_1")

    assert (result.verdict, failures) == ("complete", [])
