"""What clients, data bases and logs made of an answer is read as the same answer, and the note in `extra` says so."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from pipeline.flatten.frames import flatten
from pipeline.privacy.content import hide_list
from pipeline.privacy.hiding import ContentKey
from tests.landed import landed_bodies

Json = dict[str, Any]
AT = 1_751_328_000
INSTANT = datetime(2025, 7, 1, tzinfo=UTC)
FIRST = {"object": "thread.run.step", "thread_id": "thread_1", "run_id": "run_1"}
KEY = ContentKey(b"marker-key-marker-key-marker-key")
STEP: Json = {
    "id": "step_1",
    "object": "thread.run.step",
    "created_at": AT,
    "thread_id": "thread_1",
    "run_id": "run_1",
    "assistant_id": "asst_1",
    "type": "tool_calls",
    "status": "completed",
    "completed_at": AT + 4,
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 8},
    },
    "step_details": {
        "type": "tool_calls",
        "tool_calls": [
            {"id": "call_1", "type": "azure_ai_search", "azure_ai_search": {"input": "secret", "output": "found"}},
            {
                "id": "call_2",
                "type": "connected_agent",
                "connected_agent": {"name": "a", "thread_id": "t", "run_id": "r"},
            },
            {"id": "call_3", "type": "code_interpreter", "code_interpreter": {"input": "1", "outputs": []}},
        ],
    },
}


def frames_of(item: Json) -> dict[str, pl.DataFrame]:
    return flatten([landed_bodies([json.dumps({"data": [item]}).encode()], first=FIRST)])


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.upper() if word == "ai" else word.title() for word in rest)


def pascal(name: str) -> str:
    return camel(name)[:1].upper() + camel(name)[1:]


def spelled(value: Any, spell: Any) -> Any:
    if isinstance(value, dict):
        return {spell(name): spelled(each, spell) for name, each in value.items()}
    return [spelled(each, spell) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("spell", [camel, pascal])
@pytest.mark.parametrize("hidden", [False, True])
def test_names_of_other_sdks_fill_the_same_columns_also_where_contents_are_hidden(spell: Any, hidden: bool) -> None:
    bodies = [json.dumps({"data": [item]}).encode() for item in (STEP, spelled(STEP, spell))]
    if hidden:
        bodies = [hide_list(body, "steps", KEY) for body in bodies]
        assert all(b"secret" not in body and b"found" not in body for body in bodies)

    own, other = (flatten([landed_bodies([body], first=FIRST)]) for body in bodies)

    assert other["rejects"].is_empty()
    assert other["tool_calls"].equals(own["tool_calls"])
    assert other["run_steps"].drop("extra").equals(own["run_steps"].drop("extra"))
    assert json.loads(other["run_steps"]["extra"][0])["spellings"]


@pytest.mark.parametrize(
    ("status", "read"),
    [("Completed", "completed"), ("InProgress", "in_progress"), ("REQUIRES_ACTION", "requires_action")],
)
def test_states_of_an_sdk_with_names_of_its_own_are_those_of_the_protocol(status: str, read: str) -> None:
    step = spelled(STEP, pascal) | {"Status": status, "Type": "MessageCreation"}

    assert frames_of(step)["run_steps"].select("status", "type").row(0) == (read, "message_creation")
    assert frames_of(STEP | {"status": status})["run_steps"]["status"].to_list() == [status]


@pytest.mark.parametrize(
    "sent",
    [
        AT * 1000,
        AT * 1_000_000,
        AT * 1_000_000_000,
        str(AT),
        str(AT * 1000),
        f"{AT}.0",
        "2025-07-01T00:00:00Z",
        "2025-07-01T02:00:00+02:00",
        "2025-07-01T00:00:00.0000000+00:00",
        "2025-07-01 00:00:00",
        "2025-07-01 00:00:00+00",
        "2025-07-01 00:00:00 UTC",
        "Tue, 01 Jul 2025 00:00:00 GMT",
        f"/Date({AT * 1000})/",
        {"$date": "2025-07-01T00:00:00Z"},
        {"$date": {"$numberLong": str(AT * 1000)}},
        {"$numberInt": str(AT)},
    ],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_an_instant_is_read_however_it_was_written_and_the_note_says_so(sent: Any, hidden: bool) -> None:
    body = json.dumps({"data": [STEP | {"created_at": sent}]}).encode()

    frames = flatten([landed_bodies([hide_list(body, "steps", KEY) if hidden else body], first=FIRST)])

    assert frames["run_steps"]["created_at"].to_list() == [INSTANT]
    assert frames["rejects"].is_empty()
    assert frames["run_steps"]["extra"].to_list() != [None]


@pytest.mark.parametrize("unset", [0, -1, "", "0", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", None])
def test_an_instant_that_is_unset_is_none_and_not_1970(unset: Any) -> None:
    frames = frames_of(STEP | {"completed_at": unset, "cancelled_at": unset})

    assert frames["run_steps"].select("completed_at", "cancelled_at").row(0) == (None, None)
    assert frames["rejects"].is_empty()


@pytest.mark.parametrize("unset", [0, "", -1])
def test_an_unset_expired_at_leaves_the_word_to_expires_at(unset: Any) -> None:
    frames = frames_of(STEP | {"status": "expired", "expired_at": unset, "expires_at": AT})

    assert frames["run_steps"]["expired_at"].to_list() == [INSTANT]


@pytest.mark.parametrize(
    "sent", ["soon", "2025-13-01T00:00:00Z", True, [], {"$date": "soon"}, {"a": 1}, 6e13, 6311385600000000, 5e18, 1e20]
)
def test_what_is_no_instant_stays_a_reject(sent: Any) -> None:
    assert frames_of(STEP | {"created_at": sent})["rejects"]["json_path"].to_list() == ["$.data[0].created_at"]


@pytest.mark.parametrize(
    "sent", [100.0, "100", "100.0", {"$numberLong": "100"}, {"$numberInt": "100"}, {"$numberDouble": "100.0"}, "1e2"]
)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_whole_number_is_read_in_every_form_that_data_bases_give_it(sent: Any, hidden: bool) -> None:
    body = json.dumps({"data": [STEP | {"usage": {"prompt_tokens": sent, "total_tokens": 120}}]}).encode()

    frames = flatten([landed_bodies([hide_list(body, "steps", KEY) if hidden else body], first=FIRST)])

    assert frames["run_steps"].select("prompt_tokens", "total_tokens").row(0) == (100, 120)
    assert frames["rejects"].is_empty()


@pytest.mark.parametrize("sent", [100.5, "100.5", "many", True, "-5", {"$numberLong": "many"}, "1e400", [100]])
def test_what_is_no_whole_number_stays_a_reject(sent: Any) -> None:
    rejects = frames_of(STEP | {"usage": {"prompt_tokens": sent}})["rejects"]

    assert rejects["json_path"].to_list() == ["$.data[0].usage.prompt_tokens"]


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 100, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 8},
         "output_tokens_details": {"reasoning_tokens": 3}},
        {"inputTokens": 100, "outputTokens": 20, "inputTokensDetails": {"cachedTokens": 8},
         "outputTokensDetails": {"reasoningTokens": 3}},
        {"InputTokenCount": 100, "OutputTokenCount": 20, "InputTokenDetails": {"CachedTokenCount": 8},
         "OutputTokenDetails": {"ReasoningTokenCount": 3}},
        {"promptTokens": 100, "completionTokens": 20, "promptTokenDetails": {"cachedTokens": 8},
         "completionTokenDetails": {"reasoningTokens": 3}},
    ],
)  # fmt: skip
def test_tokens_are_read_under_the_names_of_every_family(usage: Json) -> None:
    frames = frames_of(STEP | {"usage": usage})

    columns = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    assert frames["run_steps"].select(columns).row(0) == (100, 20, 8, 3)
    assert "usage" not in json.loads(frames["run_steps"]["extra"][0])


def test_of_two_names_for_the_same_tokens_the_protocols_own_fills_the_column_and_the_other_is_kept() -> None:
    frames = frames_of(STEP | {"usage": {"prompt_tokens": 100, "input_tokens": 90}})

    assert frames["run_steps"]["prompt_tokens"].to_list() == [100]
    assert json.loads(frames["run_steps"]["extra"][0]) == {"usage": {"input_tokens": 90}}


@pytest.mark.parametrize("name", ["usage", "step_details"])
@pytest.mark.parametrize("hidden", [False, True])
def test_an_object_that_a_data_base_gave_as_text_is_read(name: str, hidden: bool) -> None:
    body = json.dumps({"data": [STEP | {name: json.dumps(STEP[name])}]}).encode()

    frames = flatten([landed_bodies([hide_list(body, "steps", KEY) if hidden else body], first=FIRST)])

    assert frames["rejects"].is_empty()
    assert frames["run_steps"].select("total_tokens", "tool_call_count").row(0) == (120, 3)
    assert not hidden or "found" not in str(frames["tool_calls"]["output"].to_list())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_unknown_and_costs_nothing_else(number: str) -> None:
    step = json.dumps(STEP | {"failed_at": "HERE", "metadata": {"said": "NaN"}}).replace('"HERE"', number)

    frames = flatten([landed_bodies([f'{{"data": [{step}]}}'.encode()], first=FIRST)])

    assert frames["rejects"].is_empty()
    assert frames["run_steps"].select("total_tokens", "failed_at").row(0) == (120, None)
    assert json.loads(frames["run_steps"]["metadata"][0]) == {"said": "NaN"}
    assert json.loads(frames["run_steps"]["extra"][0]) == {"spellings": ["NaN as null"]}
