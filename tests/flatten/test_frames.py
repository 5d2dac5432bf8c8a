"""Pages become rows and nothing is lost on the way."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flatten.frames import FLAT_TABLES, flatten, table_schema
from tests.landed import Json, landed_bodies, landed_walk
from tests.leaves import input_leaves, row_leaves

PAGES = sorted((Path(__file__).parents[1] / "pages").glob("*.json"))
DATA_TABLES = ("runs", "run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results")


def read_items(path: Path) -> list[Json]:
    """The runs or steps of a file: an envelope of them, or one alone."""
    value = json.loads(path.read_text("utf-8"))
    items: list[Json] = value["data"] if value["object"] == "list" else [value]
    return items


def read_item(name: str) -> Json:
    [item] = read_items(Path(__file__).parents[1] / "pages" / f"{name}.json")
    return item


ITEMS = [pytest.param(item, id=f"{path.stem}-{item['id']}") for path in PAGES for item in read_items(path)]
EVERY_ITEM = [item for path in PAGES for item in read_items(path)]


def data_rows(*items: Json) -> dict[str, pl.DataFrame]:
    frames = flatten([landed_walk(items)])
    assert frames["rejects"].to_dicts() == []
    return {table: frames[table] for table in DATA_TABLES}


def only_row(frame: pl.DataFrame, *columns: str) -> dict[str, Any]:
    [row] = frame.select(columns).to_dicts()
    return row


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("item", ITEMS)
def test_every_leaf_of_a_recorded_shape_is_found_in_a_column_in_payload_or_in_extra(item: Json) -> None:
    assert input_leaves(item) - row_leaves(data_rows(item)) == {}


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in PAGES])
def test_a_whole_page_keeps_as_many_rows_as_it_has_items(path: Path) -> None:
    items = read_items(path)
    if not items:
        frames = flatten([landed_bodies([path.read_bytes()], first=read_item("step_failed_last_error"))])
        assert {table: frames[table].height for table in DATA_TABLES} == dict.fromkeys(DATA_TABLES, 0)
        return
    frames = data_rows(*items)
    assert frames["runs"].height + frames["run_steps"].height == len(items)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def objects_in(value: Any) -> list[Json]:
    """Every JSON object inside a value, itself included."""
    if isinstance(value, dict):
        return [value, *(found for child in value.values() for found in objects_in(child))]
    return [found for child in value for found in objects_in(child)] if isinstance(value, list) else []


@given(st.data())
def test_fields_that_nobody_knows_are_kept_at_every_level(data: st.DataObject) -> None:
    item = json.loads(json.dumps(data.draw(st.sampled_from(EVERY_ITEM))))
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map("new_".__add__)
    for target in data.draw(st.lists(st.sampled_from(objects_in(item)), min_size=1, max_size=4)):
        target[data.draw(names)] = data.draw(JSON_VALUES)

    frames = data_rows(item)

    assert input_leaves(item) - row_leaves(frames) == {}


@given(st.sampled_from(EVERY_ITEM), JSON_VALUES)
def test_an_unknown_field_does_not_change_what_the_columns_say(item: Json, value: Any) -> None:
    known = {table: frame.drop("extra", strict=False) for table, frame in data_rows(item).items()}

    extended = {table: frame.drop("extra", strict=False) for table, frame in data_rows(item | {"new": value}).items()}

    assert {t: f.to_dicts() for t, f in extended.items()} == {t: f.to_dicts() for t, f in known.items()}


def test_frames_have_the_declared_dtypes_also_when_there_is_nothing_in_them() -> None:
    frames = flatten([])

    assert {table: frames[table].drop("walk_id", strict=False).schema for table in FLAT_TABLES} == {
        table: pl.Schema({name: dtype for name, dtype in table_schema(table).items() if name != "walk_id"})
        for table in FLAT_TABLES
    }


def test_steps_are_numbered_in_the_order_of_the_server_across_pages() -> None:
    steps = [{**read_item("step_mcp_flat"), "id": f"step_{number}"} for number in (5, 3, 9, 1)]
    bodies = [json.dumps({"data": steps[:2]}).encode(), json.dumps({"data": steps[2:]}).encode()]

    frame = flatten([landed_bodies(bodies, first=steps[0])])["run_steps"]

    assert frame.select("step_id", "step_index", "page_index").rows() == [
        ("step_5", 0, 0),
        ("step_3", 1, 0),
        ("step_9", 2, 1),
        ("step_1", 3, 1),
    ]


def test_a_step_that_two_pages_repeat_is_one_row_with_its_last_state_and_its_first_place() -> None:
    step = read_item("step_functions")
    early, late = {**step, "status": "in_progress"}, step
    other = {**read_item("step_mcp_flat"), "id": "step_other"}
    bodies = [json.dumps({"data": [early, other]}).encode(), json.dumps({"data": [late]}).encode()]

    frames = flatten([landed_bodies(bodies, first=step)])

    assert sorted(frames["run_steps"].select("step_id", "step_index", "status").rows()) == [
        ("step_fns", 0, "completed"),
        ("step_other", 1, "completed"),
    ]
    assert frames["tool_calls"].filter(step_id="step_fns").height == 4


def test_milliseconds_become_seconds_and_say_so_and_minus_one_is_null() -> None:
    row = only_row(
        data_rows(read_item("step_milliseconds"))["run_steps"],
        "created_at", "completed_at", "cancelled_at", "failed_at", "last_error_code", "total_tokens", "extra",
    )  # fmt: skip

    assert row == {
        "created_at": at(1731000000.123),
        "completed_at": at(1731000004.456),
        "cancelled_at": None,
        "failed_at": None,
        "last_error_code": None,
        "total_tokens": None,
        "extra": '{"expires_at":-1,"timestamp_unit":"ms"}',
    }


def test_milliseconds_are_noted_whichever_instant_has_them() -> None:
    step = {**read_item("step_usage_empty"), "created_at": None, "completed_at": 1731000004456}

    row = only_row(data_rows(step)["run_steps"], "completed_at", "extra")

    assert row["completed_at"] == at(1731000004.456)
    assert json.loads(row["extra"] or "{}").get("timestamp_unit") == "ms"


def test_missing_usage_is_null_and_zero_usage_is_zero() -> None:
    names = ("step_2023_no_usage_key", "step_usage_empty", "step_failed_last_error")
    steps = [read_item(name) for name in names]

    assert data_rows(*steps)["run_steps"].select("prompt_tokens", "cached_tokens", "total_tokens").rows() == [
        (None, None, None),
        (None, None, None),
        (0, None, 0),
    ]


@pytest.mark.parametrize("spelling", ["prompt_token_details", "prompt_tokens_details"])
def test_cached_tokens_are_read_in_either_spelling(spelling: str) -> None:
    step = {**read_item("step_usage_empty"), "usage": {"prompt_tokens": 9, spelling: {"cached_tokens": 4}}}

    assert data_rows(step)["run_steps"]["cached_tokens"].to_list() == [4]


@pytest.mark.parametrize(
    ("singular", "plural", "cached_tokens", "extra"),
    [
        ({"cached_tokens": 4}, {"cached_tokens": 5}, 4, {"prompt_tokens_details": {"cached_tokens": 5}}),
        ({}, {"cached_tokens": 5}, 5, None),
        ({"cached_tokens": 4}, {}, 4, None),
        ({}, {}, None, None),
    ],
)
def test_of_two_spellings_of_cached_tokens_the_one_with_a_number_counts(
    singular: Json, plural: Json, cached_tokens: int | None, extra: Json | None
) -> None:
    usage = {"prompt_tokens": 9, "prompt_token_details": singular, "prompt_tokens_details": plural}

    row = only_row(data_rows({**read_item("step_usage_empty"), "usage": usage})["run_steps"], "cached_tokens", "extra")

    assert row["cached_tokens"] == cached_tokens
    assert json.loads(row["extra"] or "{}").get("usage") == extra


def test_a_steps_own_type_and_that_of_its_details_are_both_kept() -> None:
    row = only_row(data_rows(read_item("step_type_disagrees"))["run_steps"], "type", "details_type", "tool_call_count")

    assert row == {"type": "message_creation", "details_type": "tool_calls", "tool_call_count": 1}


def test_expires_at_is_when_a_step_expired_but_else_only_a_deadline() -> None:
    expired = only_row(data_rows(read_item("step_expires_at_when_expired"))["run_steps"], "expired_at", "extra")
    [running] = read_items(Path(__file__).parents[1] / "pages" / "steps_in_progress.json")
    waiting = only_row(data_rows(running)["run_steps"], "expired_at", "extra")

    assert expired == {"expired_at": at(1731000601), "extra": None}
    assert waiting == {"expired_at": None, "extra": '{"expires_at":1731000599}'}


@pytest.mark.parametrize(
    ("page", "columns"),
    [
        ("step_mcp_flat", ("find_ship", '{"name": "Aurora"}', "[{'berth': 4}]", "harbour", None, None)),
        (
            "step_connected_agent",
            ("harbour_master", '{"question": "berth 4?"}', "It is free.", None, "thread_child01", "run_child01"),
        ),
        ("step_openapi", ("tides_getHeight", '{"station": 4}', '{"height_m": 2.75}', None, None, None)),
        ("step_sharepoint_grounding", ("sharepoint_grounding", "duty roster", "[redacted]", None, None, None)),
        ("step_deep_research", ("deep_research", "history of the fog signal", None, None, None, None)),
        ("step_retrieval_v1", ("retrieval", None, None, None, None, None)),
        ("step_function_output_null", ("read_gauge", '{"unit":"m"}', None, None, None, None)),
        ("step_type_disagrees", ("code_interpreter", "1+1", "2", None, None, None)),
    ],
)
def test_a_tool_call_puts_its_name_input_and_output_into_columns(page: str, columns: tuple[str | None, ...]) -> None:
    frame = data_rows(read_item(page))["tool_calls"]

    names = ("name", "arguments", "output", "server_label", "child_thread_id", "child_run_id")
    assert frame.select(names).rows() == [columns]


def test_what_a_nested_tool_has_beside_the_columns_stays_in_payload_under_its_name() -> None:
    [payload] = data_rows(read_item("step_browser_automation"))["tool_calls"]["payload"]

    assert list(json.loads(payload)) == ["browser_automation"]
    assert list(json.loads(payload)["browser_automation"]) == ["steps"]


def test_arguments_that_are_invalid_json_or_an_object_are_kept_as_text() -> None:
    frame = data_rows(read_item("step_functions"))["tool_calls"]

    assert frame.select("call_index", "arguments", "output").rows() == [
        (0, "{}", "2.5 m"),
        (1, '{"unit": "fathom', None),
        (2, "not json at all", ""),
        (3, '{"as":"an object","n":[1,2.5,null,true]}', '["text",{"deep":{"er":0}}]'),
    ]


def test_the_same_file_found_twice_is_two_rows() -> None:
    items = read_items(Path(__file__).parents[1] / "pages" / "steps_file_search_content.json")

    frame = data_rows(*items)["file_search_results"]

    assert frame.select("result_index", "file_id", "score").rows() == [
        (0, "file-almanac01", 0.6180339887498949),
        (1, "file-almanac01", 0.6180339887498949),
        (2, "file-almanac02", 0.5),
    ]


def test_outputs_of_the_code_interpreter_are_rows_in_order_and_its_logs_joined_are_the_output() -> None:
    frames = data_rows(*read_items(Path(__file__).parents[1] / "pages" / "steps_code_interpreter_12.json"))

    outputs = frames["code_interpreter_outputs"].filter(step_id="step_tide10")
    assert outputs.select("output_index", "type", "logs", "file_id").rows() == [
        (0, "logs", "0.35\n", None),
        (1, "logs", "4.75\n", None),
        (2, "image", None, "file-tidechart02"),
    ]
    assert frames["tool_calls"].filter(step_id="step_tide10")["output"].to_list() == ["0.35\n\n4.75\n"]


def test_a_step_that_names_another_run_than_it_was_listed_under_is_a_reject() -> None:
    strayed = {**read_item("step_mcp_flat"), "id": "step_strayed", "run_id": "run_other", "thread_id": "thread_other"}
    home = read_item("step_deep_research")

    frames = flatten([landed_walk([home, strayed])])

    assert frames["run_steps"]["step_id"].to_list() == [home["id"]]
    assert frames["rejects"]["object_id"].to_list() == ["step_strayed"]
