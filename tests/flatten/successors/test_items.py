"""Every type of item goes from what servers send to its row, and nothing of it is lost on the way."""

import json
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from pipeline.flatten.frames import flatten
from pipeline.protocol import item_types
from pipeline.protocol.item_types import PUBLISHED, is_known
from pipeline.protocol.pages import LandedWalk
from tests.answered import answered, called, landed_answers, landed_turns, listed, response, turn
from tests.landed import Json
from tests.leaves import input_leaves, row_leaves

DATA_TABLES = ("runs", "run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results")
_COLUMNS = ("type", "name", "tool_call_id", "arguments", "output", "status", "error")


def text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def paired(tool: str, *, output: Any, name: str | None = None, kept: str | None = None) -> tuple[list[Json], Json]:
    """A call of a tool of Foundry with its output, and the row of both."""
    named = {} if name is None else {"name": name}
    call = {"type": f"{tool}_call", "id": "i1", "call_id": "c1", "arguments": '{"q":1}', "status": "completed"}
    result = {"type": f"{tool}_call_output", "id": "o1", "call_id": "c1", "output": output, "status": "completed"}
    kind = tool.removesuffix("_preview")
    shown = output if kept is None else kept
    row = {"type": kind, "name": name or kind, "tool_call_id": "c1", "arguments": '{"q":1}', "output": shown}
    return [call | named, result | named], row | {"status": "completed"}


def one(item: Json, /, **row: Any) -> tuple[list[Json], Json]:
    return [{"id": "i1", **item}], {"tool_call_id": item.get("call_id", "i1"), "name": row["type"], **row}


def two(call: Json, result: Json, /, **row: Any) -> tuple[list[Json], Json]:
    items = [{"id": "i1", "call_id": "c1", **call}, {"id": "o1", "call_id": "c1", **result}]
    return items, {"tool_call_id": "c1", "name": row["type"], **row}


PARTS = [{"type": "input_text", "text": "18 C"}]
CLICK = {"type": "click", "x": 1, "y": 2}
SHOT = {"type": "computer_screenshot", "file_id": "file_1"}
SHELL = [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
TIMEOUT = [*SHELL, {"stdout": "", "stderr": "", "outcome": {"type": "timeout"}}]
STOPPED = [{"stdout": "", "stderr": "no", "outcome": {"type": "exit", "exit_code": 3}}]
TOOLS = [{"type": "function", "name": "tide"}]
PATCH = {"type": "update_file", "path": "a.py", "diff": "@@"}
BOOM = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "boom"}]}
MEMORY = [{"memory_item": {"memory_id": "m1", "content": "likes tea"}}]
SEARCH = {"type": "search", "query": "tides", "queries": ["tides"], "sources": [{"type": "url", "url": "https://e.x/"}]}

CALLS: dict[str, tuple[list[Json], Json]] = {
    "function_call": ([called("c1")], {"type": "function", "name": "tide", "tool_call_id": "c1", "output": None}),
    "function_call_output": (
        [called("c1"), {"type": "function_call_output", "id": "o1", "call_id": "c1", "output": PARTS}],
        {"type": "function", "name": "tide", "tool_call_id": "c1", "output": text(PARTS), "status": "completed"},
    ),
    "custom_tool_call": (
        [
            {"type": "custom_tool_call", "id": "i1", "call_id": "c1", "name": "run_sql", "input": "select 1"},
            {"type": "custom_tool_call_output", "id": "o1", "call_id": "c1", "output": "1"},
        ],
        {"type": "custom_tool", "name": "run_sql", "arguments": "select 1", "output": "1"},
    ),
    "file_search_call": one(
        {
            "type": "file_search_call",
            "queries": ["refund", "returns"],
            "status": "completed",
            "results": [{"file_id": "f1", "filename": "a.pdf", "score": 0.5, "text": "5 days", "attributes": {"y": 1}}],
        },
        type="file_search",
        arguments='["refund","returns"]',
    ),
    "code_interpreter_call": one(
        {
            "type": "code_interpreter_call",
            "container_id": "cntr_1",
            "code": "print(2)",
            "outputs": [{"type": "logs", "logs": "2"}, {"type": "image", "url": "https://e.x/p.png"}],
        },
        type="code_interpreter",
        arguments="print(2)",
        output="2",
    ),
    "code_interpreter_call_without_outputs": one(
        {"type": "code_interpreter_call", "container_id": "cntr_1", "code": "1", "outputs": None},
        type="code_interpreter",
        arguments="1",
        output=None,
    ),
    "web_search_call": one({"type": "web_search_call", "action": SEARCH}, type="web_search", arguments=text(SEARCH)),
    "web_search_call_without_action": one(
        {"type": "web_search_call", "action": None}, type="web_search", arguments=None
    ),
    "mcp_call": (
        [
            {
                "type": "mcp_call",
                "id": "i1",
                "server_label": "docs",
                "name": "find",
                "arguments": "{}",
                "output": "3 hits",
            }
        ],
        {"type": "mcp", "name": "find", "tool_call_id": "i1", "output": "3 hits", "error": None},
    ),
    "mcp_call_that_failed": (
        [{"type": "mcp_call", "id": "i1", "server_label": "docs", "name": "find", "status": "failed", "error": BOOM}],
        {"type": "mcp", "name": "find", "status": "failed", "error": text(BOOM), "output": None},
    ),
    "computer_call": two(
        {"type": "computer_call", "action": CLICK, "pending_safety_checks": []},
        {"type": "computer_call_output", "output": SHOT},
        type="computer",
        arguments=text(CLICK),
        output=text(SHOT),
    ),
    "computer_use_call": (
        [{"type": "computer_use_call", "id": "i1", "title": "Open it", "output": None, "status": "completed"}],
        {"type": "computer", "name": "Open it", "tool_call_id": "i1", "status": "completed"},
    ),
    "image_generation_call": one(
        {"type": "image_generation_call", "result": "aGk=", "revised_prompt": "a cat", "size": "1024x1024"},
        type="image_generation",
        arguments="a cat",
        output=None,
    ),
    "local_shell_call": (
        [
            {"type": "local_shell_call", "id": "i1", "call_id": "c1", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "c1", "output": '{"stdout":"a"}'},
        ],
        {"type": "local_shell", "tool_call_id": "c1", "output": '{"stdout":"a"}'},
    ),
    "shell_call": two(
        {"type": "shell_call", "action": {"commands": ["ls"]}, "environment": {"container_id": "cntr_1"}},
        {"type": "shell_call_output", "output": SHELL},
        type="shell",
        arguments='{"commands":["ls"]}',
        output=text(SHELL),
        error=None,
    ),
    "shell_call_that_timed_out": two(
        {"type": "shell_call", "action": {}},
        {"type": "shell_call_output", "output": TIMEOUT},
        type="shell",
        error="timeout",
    ),
    "shell_call_that_ended_badly": two(
        {"type": "shell_call", "action": {}},
        {"type": "shell_call_output", "output": STOPPED},
        type="shell",
        error="exit code 3",
    ),
    "apply_patch_call": two(
        {"type": "apply_patch_call", "operation": PATCH, "status": "completed"},
        {"type": "apply_patch_call_output", "status": "failed", "output": "no such file"},
        type="apply_patch",
        arguments=text(PATCH),
        output="no such file",
        status="failed",
    ),
    "tool_search_call": (
        [
            {
                "type": "tool_search_call",
                "id": "i1",
                "call_id": None,
                "execution": "server",
                "arguments": {"query": "t"},
            },
            {"type": "tool_search_output", "id": "o1", "call_id": None, "execution": "server", "tools": TOOLS},
        ],
        {"type": "tool_search", "tool_call_id": "i1", "arguments": '{"query":"t"}', "output": text(TOOLS)},
    ),
    "program": two(
        {"type": "program", "code": "await tools.f()", "fingerprint": "opaque"},
        {"type": "program_output", "result": "ok", "status": "completed"},
        type="program",
        arguments="await tools.f()",
        output="ok",
        status="completed",
    ),
    "multi_agent_call": two(
        {"type": "multi_agent_call", "action": "spawn_agent", "arguments": "{}"},
        {"type": "multi_agent_call_output", "action": "spawn_agent", "output": PARTS},
        type="multi_agent",
        arguments="{}",
        output=text(PARTS),
    ),
    "command_execution": one(
        {"type": "command_execution", "command": "ls", "cwd": "/w", "exit_code": 0, "duration_ms": 12, "output": "a"},
        type="command_execution",
        arguments="ls",
        output="a",
        error=None,
    ),
    "command_execution_that_failed": one(
        {"type": "command_execution", "command": "ls", "exit_code": 2, "output": ""},
        type="command_execution",
        error="exit code 2",
    ),
    "create_subagent_call": one(
        {"type": "create_subagent_call", "agent_id": "agent_a", "model": "gpt-5.6-luna", "content": PARTS},
        type="create_subagent",
        arguments=text(PARTS),
    ),
    "wait_for_subagents_call": one(
        {"type": "wait_for_subagents_call", "sender_agent_id": "agent_a", "recipient_agent_ids": ["sub_1"]},
        type="wait_for_subagents",
        arguments='["sub_1"]',
    ),
    **{
        f"{name}_call": one(
            {"type": f"{name}_call", "sender_agent_id": "agent_a", "recipient_agent_id": "sub_1"},
            type=name,
            child_thread_id="sub_1",
        )
        for name in ("send_subagent_input", "resume_subagent", "interrupt_subagent", "close_subagent")
    },
    "bing_grounding_call": paired("bing_grounding", output="[redacted]"),
    "bing_custom_search_preview_call": paired("bing_custom_search_preview", output="found"),
    "azure_ai_search_call": paired("azure_ai_search", output='{"documents":[]}'),
    "sharepoint_grounding_preview_call": paired("sharepoint_grounding_preview", output="x"),
    "fabric_dataagent_preview_call": paired("fabric_dataagent_preview", output="x"),
    "browser_automation_preview_call": paired("browser_automation_preview", output="x"),
    "openapi_call": paired("openapi", output={"status": 200}, name="do_it", kept='{"status":200}'),
    "azure_function_call": paired("azure_function", output="x", name="do_it"),
    "a2a_preview_call": paired("a2a_preview", output=[{"text": "hi"}], name="do_it", kept='[{"text":"hi"}]'),
    "memory_search_call": one(
        {"type": "memory_search_call", "status": "completed", "results": MEMORY},
        type="memory_search",
        output=text(MEMORY),
    ),
    "remote_function_call": (
        [
            {
                "type": "remote_function_call",
                "id": "i1",
                "call_id": "c1",
                "name": "azure_ai_search_call",
                "arguments": "{}",
            },
            {"type": "remote_function_call_output", "id": "o1", "call_id": "c1", "output": "x"},
        ],
        {"type": "azure_ai_search", "tool_call_id": "c1", "output": "x"},
    ),
}
# What is no call stays with the step, whole.
OTHERS: dict[str, Json] = {
    "reasoning": {"id": "i1", "summary": [{"type": "summary_text", "text": "Ask."}], "encrypted_content": "gAAA"},
    "mcp_list_tools": {"id": "i1", "server_label": "docs", "tools": [{"name": "find"}]},
    "mcp_approval_request": {"id": "i1", "server_label": "docs", "name": "find", "arguments": "{}"},
    "mcp_approval_response": {"id": "i1", "approval_request_id": "r1", "approve": True},
    "computer_use_approval_request": {"id": "i1", "request_id": "r1", "request": {"reason": "sign in"}},
    "computer_use_approval_request_result": {"id": "i1", "request_id": "r1", "response": {"action": "submit"}},
    "additional_tools": {"id": "i1", "role": "developer", "tools": TOOLS},
    "compaction": {"id": "i1", "encrypted_content": "gAAA"},
    "compaction_trigger": {"id": "i1"},
    "item_reference": {"id": "msg_other"},
    "configuration_update": {"id": "i1", "reasoning": {"effort": "low"}},
    "agent_message": {"id": "i1", "author": "a", "recipient": "b", "content": [{"type": "output_text", "text": "hi"}]},
    "workflow_action": {"id": "i1", "kind": "InvokeAgent", "action_id": "a1", "parent_action_id": "root"},
    "structured_outputs": {"id": "i1", "output": {"a": 1}},
}


def frames_of(*items: Json) -> dict[str, pl.DataFrame]:
    frames = flatten([landed_answers(response(*items))])
    assert frames["rejects"].to_dicts() == []
    return {table: frames[table] for table in DATA_TABLES}


@pytest.mark.parametrize(("items", "row"), [pytest.param(*case, id=name) for name, case in CALLS.items()])
def test_a_call_and_its_output_are_one_row_of_the_tool_that_assistants_have(items: list[Json], row: Json) -> None:
    [found] = frames_of(*items)["tool_calls"].to_dicts()
    assert {name: found[name] for name in row} == row


@pytest.mark.parametrize("items", [pytest.param(items, id=name) for name, (items, _) in CALLS.items()])
def test_the_items_of_a_turn_become_the_same_rows_as_those_of_a_response(items: list[Json]) -> None:
    of_turn = flatten([landed_turns(turn(), items=[item | {"turn_id": "turn_a"} for item in items])])
    columns = [*_COLUMNS, "server_label", "child_thread_id", "payload"]
    assert of_turn["tool_calls"].select(columns).rows() == frames_of(*items)["tool_calls"].select(columns).rows()


def asked_for(*bodies: Json) -> LandedWalk:
    """A walk over a turn whose items were asked for by its id, page by page."""
    walk = landed_turns(turn(), *bodies)
    return replace(walk, pages=[walk.pages[0], *(replace(page, origin="turn_a") for page in walk.pages[1:])])


ODD_NEIGHBOURS: dict[str, Json] = {
    "says what it is": {"object": "agent.session.item"},
    "in another style": {"phaseName": "final"},
    "an id that is no text": {"id": 7},
    "like a line of a batch": {"custom_id": "q1"},
}


@pytest.mark.parametrize("odd", [pytest.param(odd, id=name) for name, odd in ODD_NEIGHBOURS.items()])
@pytest.mark.parametrize("name", [*CALLS, *OTHERS])
def test_items_of_a_turn_are_the_same_beside_one_that_is_odd(name: str, odd: Json) -> None:
    items = CALLS[name][0] if name in CALLS else [{"type": name, **OTHERS[name]}]
    said = {"type": "message", "id": "msg_1", "role": "user", "content": []}
    together, apart = flatten([asked_for(listed(*items, said))]), flatten([asked_for(listed(*items, said | odd))])
    for table in ("run_steps", *DATA_TABLES[2:], "rejects"):
        assert together[table].rows() == apart[table].rows()
    assert together["tool_calls"].height == (name in CALLS)


@pytest.mark.parametrize(
    ("hits", "found"),
    [
        ({"file_id": "f1", "filename": "a.pdf", "file_name": "b.pdf"}, ("f1", "a.pdf", None, '{"file_name":"b.pdf"}')),
        ({"file_id": 7, "file_name": "b.pdf", "score": "high"}, ("7", "b.pdf", None, '{"score":"high"}')),
        ({"filename": None, "score": 1, "vector": [1]}, (None, None, 1.0, '{"vector":[1]}')),
        ({"file_id": "data:" + "QUJD" * 300}, None),
    ],
)
def test_a_hit_that_is_like_no_other_loses_nothing(hits: Json, found: tuple[Any, ...] | None) -> None:
    usual = {"file_id": "f0", "filename": "u.pdf", "score": 0.5, "text": "5 days", "attributes": {"y": 1}}
    item = {"type": "file_search_call", "id": "i1", "queries": ["q"], "status": "completed", "results": [usual, hits]}
    frames = frames_of(item)
    first, second = frames["file_search_results"].select("file_id", "file_name", "score").rows()
    [payload] = frames["tool_calls"]["payload"]
    assert first == ("f0", "u.pdf", 0.5)
    if found is None:
        assert json.loads(second[0])["size_bytes"] == 1205
    else:
        assert second == found[:3]
        assert json.loads(payload) == {"results[1]": json.loads(found[3])}


@pytest.mark.parametrize("items", [pytest.param(items, id=name) for name, (items, _) in CALLS.items()])
def test_every_value_of_a_call_and_its_output_is_in_a_column_or_in_payload(items: list[Json]) -> None:
    told = [{name: value for name, value in item.items() if name not in ("type", "status")} for item in items]
    # A call and its output have one id in common, and Foundry says the name with both.
    shared = {"call_id", "name"} | ({"id"} if items[-1]["type"] == "local_shell_call_output" else set())
    told[1:] = [{name: value for name, value in item.items() if name not in shared} for item in told[1:]]
    found = row_leaves(frames_of(*items))
    assert {leaf for item in told for leaf in input_leaves(item)} - set(found) - {("text", None)} == set()


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_call_is_kept_whole_with_its_step(name: str) -> None:
    item = {"type": name, **OTHERS[name]}
    frames = frames_of(item)
    assert frames["tool_calls"].height == 0
    [step] = frames["run_steps"].to_dicts()
    assert json.loads(step["extra"]) == {"items": [item]}
    assert (step["details_type"], step["tool_call_count"]) == ("message_creation", 0)


def test_no_published_type_is_without_a_case_here() -> None:
    told = {str(item["type"]) for items, _ in CALLS.values() for item in items} | OTHERS.keys()
    wanted = {name for name in PUBLISHED if is_known(name)} | item_types.OTHERS
    # What hides its link has a test of its own.
    assert wanted - told - {"oauth_consent_request"} == set()


def test_a_link_to_consent_is_a_secret_and_stands_nowhere_in_the_tables() -> None:
    frames = frames_of({"type": "oauth_consent_request", "id": "i1", "consent_link": "https://e.x/s3cret"})
    [extra] = frames["run_steps"]["extra"]
    assert "s3cret" not in extra
    assert json.loads(extra)["items"][0]["consent_link"]["size_bytes"] == 18


def test_hits_of_a_file_search_and_outputs_of_code_have_rows_of_their_own() -> None:
    frames = frames_of(*CALLS["file_search_call"][0], *CALLS["code_interpreter_call"][0])
    [hit] = frames["file_search_results"].to_dicts()
    assert (hit["call_index"], hit["result_index"], hit["file_id"], hit["file_name"], hit["score"]) == (
        0, 0, "f1", "a.pdf", 0.5,
    )  # fmt: skip
    assert (hit["content"], hit["attributes"]) == ('[{"type":"text","text":"5 days"}]', '{"y":1}')
    logs, image = frames["code_interpreter_outputs"].to_dicts()
    assert (logs["call_index"], logs["output_index"], logs["type"], logs["logs"]) == (1, 0, "logs", "2")
    assert (image["output_index"], image["type"], image["logs"], image["file_id"]) == (1, "image", None, None)


@pytest.mark.parametrize("field", ["encrypted_content", "result", "image_url"])
def test_ciphertext_and_images_are_told_by_their_size_and_hash(field: str) -> None:
    blob = "QUJD" * 1000
    item = {"type": "image_generation_call", "id": "i1", "status": "completed", field: blob}
    [call] = frames_of(item)["tool_calls"].to_dicts()
    kept = json.loads(call["payload"])[field]
    assert (kept["size_bytes"], set(kept)) == (4000, {"sha256", "size_bytes"})


def test_a_long_text_of_words_is_no_ciphertext() -> None:
    words = "the tide is high " * 200
    [call] = frames_of(called(arguments=json.dumps({"result": words})))["tool_calls"].to_dicts()
    assert json.loads(call["arguments"])["result"] == words


@pytest.mark.parametrize("output", [f'see "data:{"QUJD" * 300}', [{"text": f'see "data:{"QUJD" * 300}'}]])
def test_a_quote_inside_of_a_text_begins_no_image(output: Any) -> None:
    [call] = frames_of(called(), answered(output=output))["tool_calls"].to_dicts()
    assert call["output"] == (output if isinstance(output, str) else text(output))


@pytest.mark.parametrize(
    "item",
    [
        {"type": "dream_weaving", "id": "i1", "depth": 3, "status": "completed", "words": ["a"]},
        {"type": "telepathy", "id": None, "call_id": "c9", "thought": "?"},
        {"id": "i1", "nothing": "but this"},
    ],
)
def test_an_item_of_an_unknown_type_is_a_call_that_keeps_all_it_has(item: Json) -> None:
    [call] = frames_of(item)["tool_calls"].to_dicts()
    assert call["type"] == item.get("type", "unknown")
    assert json.loads(call["payload"]) == {name: value for name, value in item.items() if value is not None}


def test_a_new_call_of_an_unknown_tool_has_its_arguments_and_its_output() -> None:
    call = {"type": "divination_call", "id": "i1", "call_id": "c1", "arguments": "{}", "status": "completed"}
    output = {"type": "divination_call_output", "id": "o1", "call_id": "c1", "output": "rain"}
    [row] = frames_of(call, output)["tool_calls"].to_dicts()
    assert (row["type"], row["arguments"], row["output"]) == ("divination", "{}", "rain")


def test_an_item_that_is_no_object_is_told_and_its_neighbours_stay() -> None:
    frames = flatten([landed_answers(listed(response() | {"output": ["a text", called()]}))])
    [reject] = frames["rejects"].to_dicts()
    assert (reject["json_path"], reject["found"]) == ("$.output[0]", '"a text"')
    assert frames["tool_calls"].height == 1
