"""A record that is broken in one place keeps the rest, its neighbours stay whole, and what is broken is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flatten.frames import flatten
from tests.flatten.test_frames import EVERY_ITEM, at, only_row, read_item
from tests.landed import Json, landed_bodies, landed_walk
from tests.leaves import input_leaves, row_leaves

STEP = read_item("step_functions")
OTHER = {**STEP, "id": "step_other"}
IN_SECONDS = [item for item in EVERY_ITEM if item["id"] != "step_ms0"]


def broken_step(**fields: Any) -> Json:
    return {**STEP, "id": "step_broken", **fields}


def rejects_of(*items: Json) -> list[tuple[Any, ...]]:
    rejects = flatten([landed_walk(items)])["rejects"]
    return rejects.select("item_index", "object_id", "json_path", "found").rows()


@pytest.mark.parametrize("details", [[], "gone", 5, {"type": 5, "tool_calls": "none"}, {"tool_calls": [[]]}])
def test_ids_times_and_usage_survive_malformed_step_details(details: Any) -> None:
    frames = flatten([landed_walk([broken_step(step_details=details)])])

    names = ("step_id", "assistant_id", "status", "created_at", "completed_at", "prompt_tokens", "total_tokens")
    assert only_row(frames["run_steps"], *names) == {
        "step_id": "step_broken",
        "assistant_id": "asst_keeper01",
        "status": "completed",
        "created_at": at(1731000000),
        "completed_at": at(1731000004),
        "prompt_tokens": 100,
        "total_tokens": 110,
    }
    assert frames["rejects"].height > 0


@pytest.mark.parametrize(
    ("fields", "path", "found"),
    [
        ({"step_details": "gone"}, "$.data[1].step_details", '"gone"'),
        ({"created_at": "yesterday"}, "$.data[1].created_at", '"yesterday"'),
        ({"usage": {"prompt_tokens": "many", "total_tokens": 12}}, "$.data[1].usage.prompt_tokens", '"many"'),
        ({"usage": {"prompt_tokens": -5}}, "$.data[1].usage.prompt_tokens", "-5"),
        ({"usage": {"completion_tokens": 12.5}}, "$.data[1].usage.completion_tokens", "12.5"),
        ({"last_error": [1]}, "$.data[1].last_error", "[1]"),
        (
            {"step_details": {"type": "tool_calls", "tool_calls": [{}, {"type": 7, "id": "call_kept"}]}},
            "$.data[1].step_details.tool_calls[1].type",
            "7",
        ),
    ],
)
def test_a_reject_names_the_item_the_path_and_the_text(fields: Json, path: str, found: str) -> None:
    assert rejects_of(STEP, broken_step(**fields), OTHER) == [(1, "step_broken", path, found)]


@pytest.mark.parametrize(
    "broken", [5, None, "text", [], {}, {"id": None}, {"id": ["x"]}, {"object": "thread.run.step"}]
)
def test_an_item_without_a_usable_id_is_a_reject_and_its_neighbours_stay_in_their_places(broken: Any) -> None:
    body = json.dumps({"object": "list", "data": [STEP, broken, OTHER]}).encode()

    frames = flatten([landed_bodies([body], first=STEP)])

    assert frames["run_steps"].select("step_id", "step_index").rows() == [("step_fns", 0), ("step_other", 2)]
    assert set(frames["rejects"]["item_index"]) == {1}
    assert json.loads(frames["rejects"]["found"].to_list()[-1]) == broken


def test_one_broken_record_leaves_the_rows_of_the_others_exactly_as_they_were() -> None:
    alone = flatten([landed_walk([STEP])])

    beside = flatten([landed_walk([STEP, broken_step(step_details=5, usage="none", status=[])])])

    for table in ("tool_calls", "code_interpreter_outputs", "file_search_results"):
        assert beside[table].to_dicts() == alone[table].to_dicts()
    assert beside["run_steps"].filter(step_id="step_fns").to_dicts() == alone["run_steps"].to_dicts()


def test_calls_after_a_broken_one_keep_their_index() -> None:
    calls = [{"id": "call_a", "type": "mcp"}, 5, {"id": "call_c", "type": "mcp"}]

    frames = flatten([landed_walk([broken_step(step_details={"type": "tool_calls", "tool_calls": calls})])])

    assert frames["tool_calls"].select("call_index", "tool_call_id").rows() == [(0, "call_a"), (1, None), (2, "call_c")]
    assert frames["run_steps"]["tool_call_count"].to_list() == [3]


def test_a_broken_run_keeps_its_status_and_model() -> None:
    run = {**read_item("run_completed"), "usage": "lots", "completed_at": {}, "tools": 5}

    frames = flatten([landed_walk([run])])

    assert only_row(frames["runs"], "run_id", "status", "model", "completed_at", "total_tokens", "tools") == {
        "run_id": "run_beacon01",
        "status": "completed",
        "model": "gpt-4o-mini",
        "completed_at": None,
        "total_tokens": None,
        "tools": "5",
    }
    assert frames["rejects"]["json_path"].to_list() == ["$.data[0].completed_at", "$.data[0].usage"]


@pytest.mark.parametrize(
    ("logs", "kept"),
    [
        (b'"half of an emoji: \\ud83d"', "half of an emoji: \N{REPLACEMENT CHARACTER}"),
        (b'"an escaped one: \\\\ud83d"', "an escaped one: \\ud83d"),
        (b'"a pair: \\ud83c\\udf0a"', "a pair: 🌊"),
        (b'"nul: \\u0000."', "nul: \0."),
        (b'"not UTF-8: \xff\xfe"', "not UTF-8: \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_text_that_is_no_unicode_costs_only_the_bad_characters(logs: bytes, kept: str) -> None:
    call = b'{"id":"call_1","type":"code_interpreter","code_interpreter":{"input":"","outputs":[{"logs":%s}]}}' % logs
    step = json.dumps(broken_step(step_details={"type": "tool_calls", "tool_calls": ["CALL"]})).encode()
    body = b'{"data":[' + step.replace(b'"CALL"', call) + b"," + json.dumps(OTHER).encode() + b"]}"

    frames = flatten([landed_bodies([body], first=STEP)])

    assert frames["code_interpreter_outputs"]["logs"].to_list() == [kept]
    assert frames["run_steps"]["step_id"].to_list() == ["step_broken", "step_other"]


def test_bytes_that_are_no_unicode_in_a_field_of_free_form_are_replaced_as_well() -> None:
    step = json.dumps({**read_item("step_mcp_flat"), "id": "step_broken"}).encode().replace(b"'berth'", b"\xff\xfe")

    frames = flatten([landed_bodies([b'{"data":[' + step + b"]}"], first=STEP)])

    assert frames["tool_calls"]["output"].to_list() == ["[{\ufffd\ufffd: 4}]"]
    assert frames["rejects"].select("item_index", "json_path").rows() == [(-1, "$")]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 5}', b'{"data": [', b"[" * 100_000])
def test_a_page_that_is_no_list_is_one_reject_with_its_text(body: bytes) -> None:
    good = json.dumps({"data": [STEP]}).encode()

    frames = flatten([landed_bodies([body, good], first=STEP)])

    assert frames["rejects"].select("page_index", "item_index", "found").rows() == [(0, -1, body.decode())]
    assert frames["run_steps"]["step_id"].to_list() == ["step_fns"]


JUNK = (
    st.booleans()
    | st.integers(-5, 10**6).filter(lambda number: number != -1)
    | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
    | st.lists(st.integers(0, 9), max_size=2)
    | st.dictionaries(st.sampled_from(["type", "id", "name", "other"]), st.integers(0, 9), max_size=2)
)


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every container inside a value with each of its keys or indexes."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [place for key in keys for place in places_in(value[key])]


@given(st.data())
def test_whatever_is_put_in_place_of_a_value_nothing_is_lost(data: st.DataObject) -> None:
    item = json.loads(json.dumps(data.draw(st.sampled_from(IN_SECONDS))))
    # the ids of the list itself are not taken from the item
    places = [place for place in places_in(item) if place[0] is not item or place[1] not in ("thread_id", "run_id")]
    container, key = data.draw(st.sampled_from(places))
    first = {**item}
    container[key] = data.draw(JUNK)

    frames = flatten([landed_bodies([json.dumps({"data": [item]}).encode()], first=first)])

    tables = ("runs", "run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results", "rejects")
    assert input_leaves(item) - row_leaves({table: frames[table] for table in tables}) == {}
