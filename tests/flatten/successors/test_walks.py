"""A walk over responses or turns: who they are, what completes them, and the walks over their steps."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from pipeline.flatten.frames import flatten
from tests.answered import (
    MADE_AT,
    answered,
    called,
    landed_answers,
    landed_turns,
    listed,
    response,
    session,
    turn,
    usage_of,
)
from tests.landed import Json


def rows(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(columns).rows()


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_a_response_is_a_run_with_one_step_that_has_its_usage() -> None:
    usage = usage_of(5000, 800, cached=1500, written=2000)
    frames = flatten([landed_answers(response(called(), usage=usage, previous_response_id="resp_0"))])
    [run], [step] = frames["runs"].to_dicts(), frames["run_steps"].to_dicts()
    assert (run["run_id"], run["thread_id"], run["protocol"], run["object"]) == (
        "resp_a", "conv_a", "responses", "response",
    )  # fmt: skip
    assert (run["previous_run_id"], run["service_tier"], run["is_batch"], run["subagent_id"]) == (
        "resp_0", "default", None, None,
    )  # fmt: skip
    assert (step["step_id"], step["step_index"], step["type"], step["details_type"], step["tool_call_count"]) == (
        "resp_a#1", 0, "response", "tool_calls", 1,
    )  # fmt: skip
    for row in (run, step):
        assert (row["prompt_tokens"], row["cached_tokens"], row["cache_write_tokens"]) == (5000, 1500, 2000)
        assert (row["completion_tokens"], row["reasoning_tokens"], row["total_tokens"]) == (800, 200, 5800)
        assert (row["created_at"], row["completed_at"]) == (at(MADE_AT), at(MADE_AT + 6))


def test_a_turn_has_the_model_of_its_session_and_a_subagents_has_none() -> None:
    frames = flatten([landed_turns(session(), listed(turn(), turn("turn_b", subagent_id="sub_1")))])
    assert rows(frames["runs"], "run_id", "thread_id", "protocol", "model", "subagent_id", "assistant_id") == [
        ("turn_a", "sess_a", "agents", "gpt-5.4", None, "agent_a"),
        ("turn_b", "sess_a", "agents", None, "sub_1", "agent_a"),
    ]
    # What the session asks for is not what was charged.
    assert frames["runs"]["service_tier"].to_list() == [None, None]
    assert rows(frames["run_steps"], "step_id", "type", "created_at") == [
        ("turn_a#1", "turn", at(MADE_AT + 1)),
        ("turn_b#1", "turn", at(MADE_AT + 1)),
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"code": "server_error", "message": "no"}, ("server_error", "no")),
        ("it broke", (None, "it broke")),
        (None, (None, None)),
    ],
)
def test_a_run_tells_why_it_failed(error: Any, said: tuple[str | None, str | None]) -> None:
    walks = [
        landed_answers(response(status="failed", completed_at=None, usage=None, error=error)),
        landed_turns(turn(status="failed", usage=None, error=error), walk_id="walk_2"),
    ]
    frames = flatten(walks)
    assert rows(frames["runs"], "last_error_code", "last_error_message") == [said, said]
    assert frames["rejects"].is_empty()


@pytest.mark.parametrize(
    ("reference", "assistant_id"),
    [
        ({"agent_reference": {"type": "agent_reference", "name": "clerk", "version": "3"}}, "clerk:3"),
        ({"agent_reference": {"type": "agent_reference", "name": "clerk"}}, "clerk"),
        ({"agent": {"type": "agent_id", "name": "clerk", "version": "2"}}, "clerk:2"),
        ({"agent_reference": None}, None),
    ],
)
def test_an_agent_is_named_with_its_version(reference: Json, assistant_id: str | None) -> None:
    frames = flatten([landed_answers(response(**reference))])
    assert frames["runs"]["assistant_id"].to_list() == [assistant_id]


@pytest.mark.parametrize(
    ("instructions", "kept"),
    [
        ("Be kind.", "Be kind."),
        (None, None),
        ([{"role": "developer", "content": "Be kind."}], '[{"role":"developer","content":"Be kind."}]'),
    ],
)
def test_instructions_may_be_a_text_or_a_list(instructions: Any, kept: str | None) -> None:
    frames = flatten([landed_answers(response(instructions=instructions))])
    assert (frames["runs"]["instructions"].to_list(), frames["rejects"].height) == ([kept], 0)


@pytest.mark.parametrize("conversation", [{"id": "conv_a"}, "conv_a", None])
def test_a_response_that_names_no_other_conversation_is_of_the_one_that_was_asked_for(conversation: Any) -> None:
    frames = flatten([landed_answers(response(conversation=conversation))])
    assert frames["runs"]["thread_id"].to_list() == ["conv_a"]


@pytest.mark.parametrize(
    ("answer", "fields", "path"),
    [
        (response(conversation={"id": "conv_b"}), {}, "$.data[0].conversation.id"),
        (response(conversation="conv_b"), {}, "$.data[0].conversation.id"),
        (turn(session_id="sess_b"), {"thread_id": "sess_a", "protocol": "agents"}, "$.data[0].session_id"),
    ],
)
def test_what_belongs_to_another_thread_than_was_asked_for_is_refused(answer: Json, fields: Json, path: str) -> None:
    frames = flatten([landed_answers(listed(answer), **fields)])
    assert (frames["runs"].height, frames["run_steps"].height) == (0, 0)
    assert frames["rejects"]["json_path"].to_list() == [path]


def test_a_run_is_named_by_the_id_that_it_was_asked_for() -> None:
    frames = flatten([landed_answers(response(called(), response_id="resp_today"), asked_id="resp_asked")])
    assert rows(frames["runs"], "run_id") == [("resp_asked",)]
    assert rows(frames["tool_calls"], "run_id", "step_id") == [("resp_asked", "resp_asked#1")]
    assert json.loads(frames["runs"]["extra"][0])["id"] == "resp_today"


def test_a_line_of_a_batch_says_that_the_response_was_batched() -> None:
    line = {
        "id": "batch_req_1",
        "custom_id": "row-7",
        "response": {"status_code": 200, "body": response()},
        "error": None,
    }
    frames = flatten([landed_answers(listed(line))])
    assert rows(frames["runs"], "run_id", "is_batch") == [("resp_a", True)]
    assert json.loads(frames["runs"]["extra"][0])["batch"] == {"id": "batch_req_1", "custom_id": "row-7"}


def test_outputs_that_come_in_other_items_of_the_walk_are_joined_by_the_call() -> None:
    one = response(called("call_1"), called("call_2"))
    two = response(response_id="resp_b")
    later = listed(answered("call_2", "late"), answered("call_1", "early"), answered("call_9", "whose"))
    frames = flatten([landed_answers(listed(one, two), later)])
    assert rows(frames["tool_calls"], "run_id", "tool_call_id", "output") == [
        ("resp_a", "call_1", "early"),
        ("resp_a", "call_2", "late"),
    ]


@pytest.mark.parametrize("item_id", ["__fake_id__", None])
def test_items_are_never_joined_by_an_id_that_all_of_them_have(item_id: str | None) -> None:
    items = [
        item | {"id": item_id}
        for item in (called("call_1"), called("call_2"), answered("call_2", 2), answered("call_1", 1))
    ]
    frames = flatten([landed_answers(response(*items))])
    assert rows(frames["tool_calls"], "call_index", "tool_call_id", "output") == [
        (0, "call_1", "1"),
        (1, "call_2", "2"),
    ]


def test_calls_that_the_server_runs_itself_have_their_outputs_in_their_order() -> None:
    searches = [{"type": "tool_search_call", "id": f"t{n}", "call_id": None, "arguments": {"n": n}} for n in (1, 2)]
    found = [{"type": "tool_search_output", "id": f"o{n}", "call_id": None, "tools": [n]} for n in (1, 2)]
    frames = flatten([landed_answers(response(*searches, *found))])
    assert rows(frames["tool_calls"], "tool_call_id", "output") == [("t1", "[1]"), ("t2", "[2]")]


def test_an_approval_stands_behind_the_request_that_it_answers() -> None:
    asked = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "find", "arguments": "{}"}
    said = {"type": "mcp_approval_response", "id": "mcpa_1", "approval_request_id": "mcpr_1", "approve": True}
    frames = flatten([landed_answers(response(asked, called()), listed(said))])
    assert json.loads(frames["run_steps"]["extra"][0]) == {"items": [asked, said]}


def test_a_chain_that_repeats_its_items_joins_each_output_once() -> None:
    first = response(called("call_1"))
    second = response(called("call_1"), response_id="resp_b")
    frames = flatten([landed_answers(listed(first, second), listed(answered("call_1")), listed(answered("call_1")))])
    assert frames["tool_calls"]["output"].to_list() == ["high at noon", None]


@pytest.mark.parametrize("turned", [False, True])
def test_a_list_of_items_that_begins_with_the_newest_is_turned(turned: bool) -> None:
    items = [called("c1"), answered("c1", "1"), called("c2"), answered("c2", "2")]
    items = [item | {"turn_id": "turn_a"} for item in items]
    frames = flatten([landed_turns(turn(), items=items[::-1] if turned else items)])
    assert rows(frames["tool_calls"], "call_index", "tool_call_id", "output") == [(0, "c1", "1"), (1, "c2", "2")]


def test_items_go_to_the_turn_that_they_name() -> None:
    items = [called("c1") | {"turn_id": "turn_b"}, called("c2") | {"turn_id": "turn_a"}]
    frames = flatten([landed_turns(listed(turn(), turn("turn_b")), items=items)])
    assert rows(frames["tool_calls"], "run_id", "tool_call_id") == [("turn_a", "c2"), ("turn_b", "c1")]


@pytest.mark.parametrize("repeated", [0, 1, 2, 4])
def test_items_that_a_page_repeats_of_the_one_before_it_are_there_once(repeated: int) -> None:
    searches = [{"type": "web_search_call", "id": f"ws_{number}", "status": "completed"} for number in range(6)]
    items = [item | {"turn_id": "turn_a"} for item in searches]
    frames = flatten([landed_turns(turn(), listed(*items[:4]), listed(*items[4 - repeated :]))])
    assert rows(frames["tool_calls"], "call_index", "tool_call_id") == [(n, f"ws_{n}") for n in range(6)]


@pytest.mark.parametrize("item_id", ["__fake_id__", None])
def test_calls_of_one_page_that_say_the_same_are_as_many_as_there_are(item_id: str | None) -> None:
    search = {"type": "web_search_call", "id": item_id, "status": "completed", "turn_id": "turn_a"}
    frames = flatten([landed_turns(turn(), items=[search, search])])
    assert frames["tool_calls"].height == 2


def test_a_response_that_a_walk_has_twice_is_one_run_in_its_last_state() -> None:
    early = response(status="in_progress", usage=None, completed_at=None)
    frames = flatten([landed_answers(early, listed(response(called())))])
    assert rows(frames["runs"], "run_id", "status") == [("resp_a", "completed")]
    assert (frames["run_steps"].height, frames["tool_calls"].height) == (1, 1)
    assert rows(frames["walks"], "walk_id", "resource") == [("walk_1", "runs"), ("walk_1.0", "steps")]


def test_each_run_has_a_walk_over_its_step_so_that_it_can_be_sealed() -> None:
    done = response(response_id="resp_b", completed_at=None, usage=None)
    frames = flatten([landed_answers(listed(response(), done, response(response_id="resp_c", status="queued")))])
    assert rows(
        frames["walks"].filter(resource="steps"), "run_id", "verdict", "run_status", "run_ended_at", "is_settled"
    ) == [
        ("resp_a", "complete", "completed", at(MADE_AT + 6), True),
        # A usage that is not there yet may come.
        ("resp_b", "complete", "completed", None, False),
        ("resp_c", "complete", "queued", None, None),
    ]


def test_a_turn_is_as_settled_as_its_walk_says() -> None:
    frames = flatten([landed_turns(turn(), is_settled=False, settle_s=3600.0)])
    assert rows(frames["walks"].filter(resource="steps"), "is_settled", "settle_s") == [(False, 3600.0)]


@pytest.mark.parametrize(
    ("walk", "verdict"),
    [
        # What its list leaves out of a response was to be fetched after it.
        (landed_answers(response(), verdict="broken"), "broken"),
        (landed_turns(turn(), items=[called()], verdict="broken"), "broken"),
        (landed_answers(response(), verdict="imported"), "imported"),
    ],
)
def test_the_walk_over_a_step_is_as_complete_as_what_the_step_was_made_of(walk: Any, verdict: str) -> None:
    frames = flatten([walk])
    assert frames["walks"].filter(resource="steps")["verdict"].to_list() == [verdict]


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ({"usage": {"input_tokens": "many"}}, "$.usage.input_tokens"),
        ({"created_at": "soon"}, "$.created_at"),
        ({"output": {"type": "message"}}, "$.output"),
        ({"model": 5}, "$.model"),
    ],
)
def test_a_value_that_cannot_be_read_is_told_and_the_rest_of_the_response_stays(field: Json, path: str) -> None:
    frames = flatten([landed_answers(response() | field)])
    assert frames["rejects"]["json_path"].to_list() == [path]
    assert frames["runs"]["status"].to_list() == ["completed"]


def test_what_no_struct_knows_is_kept_in_extra() -> None:
    usage = usage_of() | {"cost": 0.5}
    usage["input_tokens_details"] = {"cached_tokens": 4, "audio_tokens": 3}
    frames = flatten(
        [landed_answers(response(usage=usage, mood="calm", tool_usage={"web_search": {"num_requests": 2}}))]
    )
    extra = json.loads(frames["runs"]["extra"][0])
    assert (extra["mood"], extra["tool_usage"]) == ("calm", {"web_search": {"num_requests": 2}})
    assert extra["usage"] == {"cost": 0.5, "input_tokens_details": {"audio_tokens": 3}}
    assert frames["runs"]["cached_tokens"].to_list() == [4]


def test_a_page_that_is_no_answer_is_told() -> None:
    walk = landed_answers({"object": "something"}, listed({"id": "x"}))
    assert flatten([walk])["rejects"]["reason"].to_list() == ["neither a response, a turn nor an item"] * 2
