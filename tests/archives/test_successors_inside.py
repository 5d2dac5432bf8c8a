"""Responses and turns inside others and in other spellings, of all of which the same rows come."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.archives.shapes.content import Context, Found, Unrecognised
from pipeline.archives.shapes.objects import read_content
from pipeline.raw.parts import RawStore
from pipeline.sqlfiles.duck import read_frame
from pipeline.verbs.archive_evidence import read_evidence
from pipeline.warehouse.checks import run_check, run_checks
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import rebuild
from tests.answered import answered, called, listed, response, session, turn
from tests.archived import envelope, exchange, import_here, recording, run_object, step_object, write_json
from tests.attached import looking_into

Json = dict[str, Any]
BOTH = [
    response(called("call_a"), response_id="resp_a"),
    response(called("call_b"), response_id="resp_b", previous_response_id="resp_a"),
]
CALLS = "select run_id, tool_call_id, name, arguments, output from tool_calls order by run_id, tool_call_id"
USAGE = "select run_id, prompt_tokens, cached_tokens, completion_tokens from run_steps order by run_id"


def rows_of(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    with looking_into(warehouse_path(data_dir)) as connection:
        return connection.execute(query).fetchall()


def gaps_of(data_dir: Path) -> list[str]:
    return read_evidence(warehouse_path(data_dir), source="archive").gaps


def named(value: Any, spell: Callable[[str], str]) -> Any:
    """The same with other names of fields."""
    if isinstance(value, dict):
        return {spell(name): named(inner, spell) for name, inner in value.items()}
    return [named(inner, spell) for inner in value] if isinstance(value, list) else value


def pascal(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


def camel(name: str) -> str:
    return name[:1] + pascal(name)[1:]


SPELLINGS: dict[str, Callable[[str], str]] = {"camelCase": camel, "PascalCase": pascal, "UPPER_CASE": str.upper}


@pytest.mark.parametrize("spell", [pytest.param(spell, id=key) for key, spell in SPELLINGS.items()])
def test_names_in_another_style_are_the_same_responses_calls_and_outputs(
    tmp_path: Path, spell: Callable[[str], str]
) -> None:
    plain = [*BOTH, answered("call_a"), session(), turn(), {**called("call_t"), "turn_id": "turn_a"}]
    import_here(tmp_path / "plain", write_json(tmp_path / "plain.json", plain))
    # Metadata are the user's own names.
    spelled = [named({key: value for key, value in each.items() if key != "metadata"}, spell) for each in plain]
    import_here(tmp_path / "spelled", write_json(tmp_path / "spelled.json", spelled))
    for query in (CALLS, USAGE, "select run_id, thread_id, model, status, created_at from runs order by run_id"):
        assert rows_of(tmp_path / "spelled", query) == rows_of(tmp_path / "plain", query) != []


BATCH = {"id": "batch_req_1", "custom_id": "row-1", "response": {"status_code": 200, "body": BOTH[0]}, "error": None}
BATCHES: dict[str, Json] = {
    "as it is": BATCH,
    "with its body as a text": BATCH | {"response": {"status_code": 200, "body": json.dumps(BOTH[0])}},
    "in camelCase": {"customId": "row-1", "response": {"statusCode": 200, "body": BOTH[0]}},
    "in PascalCase": {"CustomId": "row-1", "Response": {"StatusCode": 200, "Body": BOTH[0]}},
    "without what is always the same": BATCH
    | {"response": {"body": {name: value for name, value in BOTH[0].items() if name != "object"}}},
}


@pytest.mark.parametrize("line", [pytest.param(line, id=key) for key, line in BATCHES.items()])
def test_a_line_of_a_batch_is_a_batched_response_however_it_was_kept(tmp_path: Path, line: Json) -> None:
    assert import_here(tmp_path / "data", write_json(tmp_path / "a.json", line)).left_out == 0
    assert rows_of(tmp_path / "data", "select run_id, is_batch, prompt_tokens from runs") == [("resp_a", True, 1000)]


ASKED = {"model": "gpt-5.4", "input": "hi"}
POSTED = {"method": "POST", "url": "https://api.example.com/v1/responses"}
INSIDE: dict[str, Any] = {
    "a conversation": {"id": "conv_a", "object": "conversation", "responses": BOTH},
    "an event": {"object": "event", "type": "response.completed", "data": {"all": BOTH}},
    "each other": BOTH[1] | {"previous_response": BOTH[0]},
    "each other as a text": BOTH[1] | {"before": json.dumps(BOTH[0])},
    "a run": run_object() | {"responses": BOTH},
    "a log of what was asked": [{"request": ASKED, "response": each} for each in BOTH],
    "a log of where it was asked": [{"request": POSTED, "response": each} for each in BOTH],
    "a log of HTTP with objects": [{"request": POSTED, "response": {"status": 200, "body": each}} for each in BOTH],
    "a text of a text": json.dumps(json.dumps(BOTH)),
    "a text of a text in a field": {"payload": json.dumps(json.dumps(json.dumps(BOTH)))},
}


@pytest.mark.parametrize("value", [pytest.param(value, id=key) for key, value in INSIDE.items()])
def test_responses_inside_what_is_known_are_found_with_their_calls(tmp_path: Path, value: Any) -> None:
    progress = import_here(tmp_path / "data", write_json(tmp_path / "a.json", value))
    assert progress.unrecognised == 0
    runs = [row for row in rows_of(tmp_path / "data", CALLS) if str(row[0]).startswith("resp_")]
    assert [(run_id, call_id) for run_id, call_id, *_ in runs] == [("resp_a", "call_a"), ("resp_b", "call_b")]
    assert "previous_response" not in str(rows_of(tmp_path / "data", "select extra from runs"))


TURNS = [turn("turn_a"), turn("turn_b")]
IN_TURNS: dict[str, Any] = {
    "with their items, in the session": session(
        turns=[TURNS[0] | {"items": [called("call_a")]}, TURNS[1] | {"items": [called("call_b")]}]
    ),
    "as recorded, with items that do not name their turn": recording(
        exchange("/agents/sessions/sess_a", session()),
        exchange("/agents/sessions/sess_a/turns", listed(*TURNS)),
        exchange("/agents/sessions/sess_a/turns/turn_a/items", listed(called("call_a"))),
        exchange("/agents/sessions/sess_a/turns/turn_b/items", listed(called("call_b"))),
    ),
}


@pytest.mark.parametrize("value", [pytest.param(value, id=key) for key, value in IN_TURNS.items()])
def test_items_are_of_the_turn_in_whose_place_they_stand(tmp_path: Path, value: Any) -> None:
    progress = import_here(tmp_path / "data", write_json(tmp_path / "a.json", value))
    assert (progress.runs, progress.unrecognised, progress.items_alone) == (2, 0, 0)
    found = [(run_id, call_id) for run_id, call_id, *_ in rows_of(tmp_path / "data", CALLS)]
    assert found == [("turn_a", "call_a"), ("turn_b", "call_b")]


BARE = response(called(), conversation=None)


@pytest.mark.parametrize("states", [[BARE, response(called())], [response(called()), BARE]])
def test_a_response_of_which_one_state_tells_the_conversation_is_one(tmp_path: Path, states: list[Json]) -> None:
    import_here(tmp_path / "data", write_json(tmp_path / "a.json", states))
    assert rows_of(tmp_path / "data", "select run_id, thread_id from runs") == [("resp_a", "conv_a")]
    assert gaps_of(tmp_path / "data") == []


@pytest.mark.parametrize("states", [[BARE, response(called())], [response(called()), BARE]])
def test_a_response_that_came_into_two_threads_is_named_with_what_it_doubles(
    tmp_path: Path, states: list[Json]
) -> None:
    for index, state in enumerate(states):
        import_here(tmp_path / "data", write_json(tmp_path / f"{index}.json", state))
    assert gaps_of(tmp_path / "data") == ["resp_a is in conv_a and in resp_a: one response, counted 2 times"]
    rebuild(RawStore(tmp_path / "data" / "raw"), warehouse_path(tmp_path / "data"), wait_s=1)
    with looking_into(warehouse_path(tmp_path / "data")) as connection:
        finding = run_check(connection, "runs_in_two_threads")
    assert finding is not None
    assert (finding.level, finding.rows) == ("fail", 1)


LOST = ["@{id=fc_1; type=function_call}", "System.Object[]", 7]


@pytest.mark.parametrize("lost", LOST)
def test_a_call_that_cannot_be_read_counts_as_lost(tmp_path: Path, lost: Any) -> None:
    import_here(tmp_path / "data", write_json(tmp_path / "a.json", response(called(), output=[lost, called()])))
    with looking_into(warehouse_path(tmp_path / "data")) as connection:
        assert "lost_values" in {finding.name for finding in run_checks(connection)}
        assert read_frame(connection, "select place, is_counted from lost_values").rows() == [("output[*]", True)]


def contents_of(value: Any) -> tuple[set[str], list[str]]:
    """Ids of what was found, and why the rest was not."""
    contents = list(read_content(json.dumps(value).encode(), Context("$")))
    reasons = [content.reason for content in contents if isinstance(content, Unrecognised)]
    return {content.object_id for content in contents if isinstance(content, Found)}, reasons


STEPS = envelope([step_object("step_a"), step_object("step_b", run_id="run_9")])
FOREIGN: dict[str, Any] = {
    "a step that names another run": exchange("/threads/thread_1/runs/run_1/steps", STEPS),
    "a step that names another thread": exchange(
        "/threads/thread_1/runs/run_1/steps",
        envelope([step_object("step_a"), step_object("step_b", thread_id="thread_9")]),
    ),
    "a run that names another thread": exchange(
        "/threads/thread_1/runs", envelope([run_object("step_a"), run_object("step_b", thread_id="thread_9")])
    ),
}


@pytest.mark.parametrize("entry", [pytest.param(entry, id=key) for key, entry in FOREIGN.items()])
def test_what_a_recording_has_of_others_than_were_asked_for_is_refused_and_named(entry: Json) -> None:
    found, reasons = contents_of(recording(entry))
    assert found == {"step_a"}
    assert [reason.partition(" ")[2] for reason in reasons] == [
        f"{'step' if 'steps' in entry['request']['url'] else 'run'} of another list than was asked for: it is not kept"
    ]


@pytest.mark.parametrize("data", [[], [run_object()]])
@pytest.mark.parametrize(
    ("error", "is_told"),
    [({"message": "busy"}, True), ("busy", True), (None, False), ("", False), ({}, False), (False, False)],
)
def test_a_list_with_an_error_beside_it_may_not_be_whole(data: list[Json], error: Any, *, is_told: bool) -> None:
    found, reasons = contents_of(envelope(data, error=error))
    assert len(found) == len(data)
    assert (reasons != []) is is_told
