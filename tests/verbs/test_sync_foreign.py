"""Items that are another's, or two things with one id: a sync has them right, or ends as incomplete and names both."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import WalkError
from pipeline.extract.protocols import list_thread_ids
from pipeline.protocol.pages import Protocol
from pipeline.raw.places import raw_store
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import rebuild
from tests.answered import MADE_AT, answered, called, listed, response, session, turn
from tests.archived import run_object, step_object
from tests.by_path import Json, Paths, client_of, sync_all
from tests.syncs import read_all

# --- steps of a thread's other runs -----------------------------------------------------------------------------------

MINE = [step_object("step_1", total=30)]
OTHERS = [step_object("step_2", at=1, run_id="run_2", total=30)]


def thread_of(steps: Mapping[str, list[Json]]) -> Paths:
    runs = [run_object(run_id) for run_id in steps]
    lists = {f"/threads/thread_1/runs/{run_id}/steps": listed(*found) for run_id, found in steps.items()}
    return {"/threads/thread_1/runs": listed(*runs), **lists}


def without_parents(steps: list[Json]) -> list[Json]:
    return [step | {"run_id": None, "thread_id": None} for step in steps]


FOREIGN_STEPS: dict[str, dict[str, list[Json]]] = {
    "steps of all runs, which name no parent": dict.fromkeys(("run_1", "run_2"), without_parents(MINE + OTHERS)),
    "steps of all runs, said to be of the one asked for": {
        run_id: [step | {"run_id": run_id} for step in MINE + OTHERS] for run_id in ("run_1", "run_2")
    },
    "more than its own for one run": {"run_1": MINE, "run_2": [step | {"run_id": "run_2"} for step in MINE + OTHERS]},
}


@pytest.mark.parametrize("kind", FOREIGN_STEPS)
def test_a_step_that_two_runs_have_is_of_one_of_them(tmp_path: Path, kind: str) -> None:
    for _ in range(2):
        result, failures = sync_all(tmp_path, thread_of(FOREIGN_STEPS[kind]), "assistants", "thread_1")

        assert result.verdict == "incomplete"
        assert any("thread_1: runs run_1 and run_2 have step step_1" in failure for failure in failures)


def test_steps_that_are_numbered_in_each_run_are_as_many_as_there_are(tmp_path: Path) -> None:
    steps = {run_id: [step_object("step_1", run_id=run_id, total=30)] for run_id in ("run_1", "run_2")}

    result, failures = sync_all(tmp_path, thread_of(steps), "assistants", "thread_1")

    assert (result.verdict, failures) == ("complete", [])
    assert read_all(tmp_path, "select count(*), sum(total_tokens) from run_steps") == [(2, 60)]


def threads_with(*named: str | None, apart: bool = False) -> Paths:
    """thread_1, thread_2, ... with one run of one id each, which names a thread or none."""
    paths: Paths = {}
    for number, thread_id in enumerate(named, start=1):
        run = run_object(thread_id=thread_id, created_at=1_700_000_000 + number * apart)
        path = f"/threads/thread_{number}/runs"
        paths[path] = listed(run)
        paths[f"{path}/run_1/steps"] = listed(step_object("step_1", total=30, thread_id=thread_id))
    return paths


@pytest.mark.parametrize("named", [(None, None), (None, "thread_2"), ("thread_1", None)])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_run_that_two_threads_have_and_that_does_not_say_of_which_it_is(
    tmp_path: Path, named: tuple[str | None, ...], at_once: bool
) -> None:
    paths = threads_with(*named)
    if not at_once:
        sync_all(tmp_path, paths, "assistants", "thread_1")

    result, failures = sync_all(tmp_path, paths, "assistants", "thread_1", "thread_2")

    assert result.verdict == "incomplete"
    assert any("threads thread_1 and thread_2 have run run_1" in failure for failure in failures)


@pytest.mark.parametrize(
    "paths", [threads_with("thread_1", "thread_2"), threads_with(None, None, apart=True)], ids=["named", "apart"]
)
def test_runs_that_are_numbered_in_each_thread_are_as_many_as_there_are(tmp_path: Path, paths: Paths) -> None:
    result, failures = sync_all(tmp_path, paths, "assistants", "thread_1", "thread_2")

    assert (result.verdict, failures) == ("complete", [])
    assert read_all(tmp_path, "select count(*), sum(total_tokens) from run_steps") == [(2, 60)]


@pytest.mark.parametrize("number", [0, 7, 2**63, -4])
def test_ids_that_are_numbers_are_their_digits(tmp_path: Path, number: int) -> None:
    run, step = run_object(total=10) | {"id": number}, step_object("") | {"id": number, "run_id": number}
    paths = {"/threads/5/runs": listed(run | {"thread_id": 5})}
    paths[f"/threads/5/runs/{number}/steps"] = listed(step | {"thread_id": 5})

    result, failures = sync_all(tmp_path, paths, "assistants", "5")

    assert (result.verdict, failures, result.lost) == ("complete", [], [])
    assert read_all(tmp_path, "select thread_id, run_id, step_id, total_tokens from run_steps") == [
        ("5", str(number), str(number), 10)
    ]


# --- responses of other conversations ---------------------------------------------------------------------------------


def test_a_response_that_two_conversations_list_is_of_one_of_them(tmp_path: Path) -> None:
    both = listed(*(response(response_id=f"resp_{name}", conversation=None) for name in "ab"))
    paths = {f"/responses?conv_{name}": both for name in "ab"}

    result, failures = sync_all(tmp_path, paths, "responses", "conv_a", "conv_b")

    assert result.verdict == "incomplete"
    assert any("threads conv_a and conv_b have response resp_a" in failure for failure in failures)


@pytest.mark.parametrize("named", ["conv_a", {"id": "conv_a"}], ids=["text", "object"])
def test_a_conversation_that_is_told_as_a_text_is_one(named: object) -> None:
    paths = {"/conversations": listed(), "/responses": listed(response(conversation=named))}

    async def find() -> list[str]:
        async with client_of(paths) as client:
            return await list_thread_ids(client, "responses")

    assert asyncio.run(find()) == ["conv_a"]


def test_one_response_that_answers_two_ids_is_no_answer_to_the_second(tmp_path: Path) -> None:
    one = response(response_id="resp_a", conversation=None)
    paths = {"/responses/resp_a": one, "/responses/resp_b": one}

    result, failures = sync_all(tmp_path, paths, "responses", "resp_a", "resp_b")

    assert result.verdict == "incomplete"
    [failure] = failures
    assert "/responses/resp_" in failure
    assert "the answer is resp_a, as it was to resp_" in failure
    assert read_all(tmp_path, "select count(*) from runs") == [(1,)]


# --- sessions, subagents and turns of others --------------------------------------------------------------------------

SESSION = "/agents/sessions/sess_a"
OF_SUBAGENT = f"{SESSION}/subagents/sub_1"
SUBAGENT = {"id": "sub_1", "object": "agent.session.subagent", "session_id": "sess_a"}


def items_of(turn_id: str, /, **fields: Any) -> Json:
    """A call and its output, as the items of a turn."""
    items = [called(f"call_{turn_id}"), answered(f"call_{turn_id}")]
    return listed(*(item | {"turn_id": turn_id} | fields for item in items))


def session_with(own: list[Json], of_subagent: list[Json], **changed: Json) -> Paths:
    paths = {
        SESSION: session(),
        f"{SESSION}/turns": listed(*own),
        f"{SESSION}/subagents": listed(SUBAGENT),
        f"{OF_SUBAGENT}/turns": listed(*of_subagent),
    }
    paths |= {f"{SESSION}/turns/{each['id']}/items": items_of(each["id"]) for each in own}
    paths |= {f"{OF_SUBAGENT}/turns/{each['id']}/items": items_of(each["id"]) for each in of_subagent}
    return paths | changed


OWN, SUBS = turn("turn_1"), turn("turn_2", subagent_id="sub_1", created_at=MADE_AT + 1)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (session_with([OWN], [SUBS | {"id": "turn_1"}]), "two turns have the id turn_1, one is of subagent sub_1"),
        (session_with([OWN], [turn("turn_1", created_at=MADE_AT + 1)]), "two turns have the id turn_1"),
        (session_with([OWN], [OWN]), "subagent sub_1 has the very turns that the session has"),
        (session_with([OWN], [SUBS | {"subagent_id": "sub_2"}]), "turn turn_2 says that it is of subagent sub_2"),
        (session_with([OWN], [], **{SESSION: session(id="sess_b")}), "the answer is another session, sess_b"),
    ],
    ids=["id of both", "id of both, unnamed", "path ignored", "another subagent's", "another session"],
)
def test_a_turn_that_cannot_be_told_whose_it_is_breaks_the_walk(tmp_path: Path, paths: Paths, said: str) -> None:
    result, failures = sync_all(tmp_path, paths, "agents", "sess_a")

    assert result.verdict == "incomplete"
    [failure] = failures
    assert failure.startswith("sess_a: ")
    assert said in failure


@pytest.mark.parametrize("own", [[OWN], [OWN, SUBS]], ids=["own turns", "all turns"])
def test_a_session_may_list_turns_of_its_subagents(tmp_path: Path, own: list[Json]) -> None:
    result, failures = sync_all(tmp_path, session_with(own, [SUBS]), "agents", "sess_a")

    assert (result.verdict, failures) == ("complete", [])
    assert read_all(tmp_path, "select run_id, subagent_id from runs order by all") == [
        ("turn_1", None),
        ("turn_2", "sub_1"),
    ]


@pytest.mark.parametrize("named", [None, 3, ""], ids=["null", "number", "empty"])
def test_items_are_of_the_turn_that_they_were_asked_of(tmp_path: Path, named: object) -> None:
    changed = {f"{SESSION}/turns/{turn_id}/items": items_of(turn_id, turn_id=named) for turn_id in ("turn_1", "turn_3")}
    paths = session_with([OWN, turn("turn_3")], [], **changed)

    result, failures = sync_all(tmp_path, paths, "agents", "sess_a")

    assert (result.verdict, failures) == ("complete", [])
    calls = "select run_id, tool_call_id, output from tool_calls order by run_id"
    expected = [(turn_id, f"call_{turn_id}", "high at noon") for turn_id in ("turn_1", "turn_3")]
    assert read_all(tmp_path, calls) == expected
    rebuild(raw_store(tmp_path), warehouse_path(tmp_path), wait_s=0.0)
    assert read_all(tmp_path, calls) == expected


@pytest.mark.parametrize("is_named", [True, False])
def test_items_of_all_turns_are_not_those_of_each(tmp_path: Path, is_named: bool) -> None:
    items = [
        item if is_named else item | {"turn_id": None}
        for turn_id in ("turn_1", "turn_3")
        for item in items_of(turn_id)["data"]
    ]
    changed = {f"{SESSION}/turns/{turn_id}/items": listed(*items) for turn_id in ("turn_1", "turn_3")}

    result, failures = sync_all(tmp_path, session_with([OWN, turn("turn_3")], [], **changed), "agents", "sess_a")

    assert result.verdict == "incomplete"
    assert any("sess_a" in failure and "items of turn turn_1" in failure for failure in failures)
    if is_named:
        assert read_all(tmp_path, "select run_id, tool_call_id from tool_calls order by all") == [
            ("turn_1", "call_turn_1"),
            ("turn_3", "call_turn_3"),
        ]


def test_a_session_that_does_not_count_turns_as_activity_is_looked_into(tmp_path: Path) -> None:
    never = {SESSION: session(last_active_at=MADE_AT)}
    sync_all(tmp_path, session_with([OWN], [], **never), "agents", "sess_a")

    sync_all(tmp_path, session_with([OWN, turn("turn_3")], [], **never), "agents", "sess_a")

    assert read_all(tmp_path, "select run_id from runs order by all") == [("turn_1",), ("turn_3",)]


@pytest.mark.parametrize(("length", "said"), [(99, []), (100, [f"{SESSION}/turns has exactly 100 items"]), (101, [])])
def test_a_list_as_long_as_those_that_servers_cut_is_doubted(tmp_path: Path, length: int, said: list[str]) -> None:
    turns = [turn(f"turn_{number}", created_at=MADE_AT + number) for number in range(length)]
    paths = session_with(turns, []) | {f"{SESSION}/turns": listed(*turns)}

    result, doubts = sync_all(tmp_path, paths, "agents", "sess_a")

    assert (result.verdict, [doubt.partition(":")[0] for doubt in doubts]) == ("complete", said)


# --- what a sync could not read stays so in the next ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "protocol", "thread_id"),
    [
        (thread_of({"run_1": [MINE[0] | {"id": {}}]}), "assistants", "thread_1"),
        (thread_of({"run_1": [MINE[0] | {"usage": "lots"}]}), "assistants", "thread_1"),
        (
            thread_of({"run_1": MINE}) | {"/threads/thread_1/runs": listed(run_object() | {"model": {}})},
            "assistants",
            "thread_1",
        ),
        (session_with([{**OWN, "object": None}], []), "agents", "sess_a"),
        (session_with([OWN | {"usage": [1]}], []), "agents", "sess_a"),
    ],
    ids=["id of a step", "usage of a step", "model of a run", "kind of a turn", "usage of a turn"],
)
def test_what_was_lost_and_is_not_fetched_again_is_said_by_every_sync_of_its_thread(
    tmp_path: Path, paths: Paths, protocol: Protocol, thread_id: str
) -> None:
    for _ in range(3):
        result, _ = sync_all(tmp_path, paths, protocol, thread_id)

        assert result.verdict == "incomplete"
        assert any(value.first["thread_id"] == thread_id for value in result.lost)


def test_what_was_lost_and_came_again_is_not_spoken_of(tmp_path: Path) -> None:
    broken = {"run_1": [MINE[0] | {"usage": "lots"}]}
    sync_all(tmp_path, thread_of(broken), "assistants", "thread_1")

    result, _ = sync_all(tmp_path, thread_of({"run_1": MINE}), "assistants", "thread_1")

    assert (result.verdict, result.lost) == ("complete", [])


# --- the list of threads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "path", "items", "said"),
    [
        ("assistants", "/threads", [{"id": None}, {"id": "thread_1"}], "1 of its 2 items have no id"),
        ("responses", "/conversations", [{"id": ""}], "1 of its 1 items have no id"),
        ("agents", "/agents/sessions", [{"id": {}}, {}], "2 of its 2 items have no id"),
    ],
)
def test_a_list_of_threads_that_cannot_be_asked_for_is_named(
    protocol: Protocol, path: str, items: list[Json], said: str
) -> None:
    async def find() -> list[str]:
        async with client_of({path: listed(*items), "/responses": listed()}) as client:
            return await list_thread_ids(client, protocol)

    with pytest.raises(WalkError) as caught:
        asyncio.run(find())
    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_list_of_threads_whose_cursors_lead_nowhere_is_named() -> None:
    paths = {"/threads": listed({"id": "thread_1"}, has_more=True)}

    async def find() -> list[str]:
        async with client_of(paths) as client:
            return await list_thread_ids(client)

    with pytest.raises(WalkError, match=r"^/threads: page 2 "):
        asyncio.run(find())
