"""`docs/coverage.md` is true: its tests exist, and it and the tables have each field of the published description."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.flatten.frames import flatten
from tests.landed import landed_walk

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
COVERAGE = (ROOT / "docs/coverage.md").read_text("utf-8")
SCHEMAS: dict[str, Any] = json.loads((TESTS / "peers/openapi.json").read_text("utf-8"))["components"]["schemas"]
AT = 1_730_000_000

USAGE = {
    "prompt_tokens": 101,
    "completion_tokens": 102,
    "total_tokens": 203,
    "prompt_token_details": {"cached_tokens": 50},
    "completion_tokens_details": {"reasoning_tokens": 60},
}
STEP: dict[str, Any] = {
    "id": "step_1",
    "object": "thread.run.step",
    "created_at": AT,
    "assistant_id": "asst_1",
    "thread_id": "thread_1",
    "run_id": "run_1",
    "type": "message_creation",
    "status": "failed",
    "step_details": {"type": "message_creation", "message_creation": {"message_id": "msg_1"}},
    "last_error": {"code": "server_error", "message": "it broke"},
    "expired_at": AT + 1,
    "cancelled_at": AT + 2,
    "failed_at": AT + 3,
    "completed_at": AT + 4,
    "metadata": {"team": "blue"},
    "usage": USAGE,
}
RUN: dict[str, Any] = {
    "id": "run_1",
    "object": "thread.run",
    "created_at": AT,
    "thread_id": "thread_1",
    "assistant_id": "asst_1",
    "status": "incomplete",
    "required_action": {"type": "submit_tool_outputs"},
    "last_error": {"code": "invalid_prompt", "message": "it broke"},
    "expires_at": AT + 1,
    "started_at": AT + 2,
    "cancelled_at": AT + 3,
    "failed_at": AT + 4,
    "completed_at": AT + 5,
    "incomplete_details": {"reason": "max_prompt_tokens"},
    "model": "gpt-4o",
    "instructions": "Be brief.",
    "tools": [{"type": "code_interpreter"}],
    "metadata": {"team": "blue"},
    "usage": USAGE,
    "temperature": 0.5,
    "top_p": 0.25,
    "max_prompt_tokens": 1001,
    "max_completion_tokens": 1002,
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response_format": "auto",
}
TOOL_CALLS: list[dict[str, Any]] = [
    {
        "id": "call_1",
        "type": "code_interpreter",
        "code_interpreter": {
            "input": "print(1)",
            "outputs": [{"type": "logs", "logs": "1"}, {"type": "image", "image": {"file_id": "file_1"}}],
        },
    },
    {
        "id": "call_2",
        "type": "file_search",
        "file_search": {
            "ranking_options": {"ranker": "auto", "score_threshold": 0.5},
            "results": [
                {
                    "file_id": "file_2",
                    "file_name": "a.txt",
                    "score": 0.75,
                    "content": [{"type": "text", "text": "found"}],
                }
            ],
        },
    },
    {"id": "call_3", "type": "function", "function": {"name": "look_up", "arguments": "{}", "output": "no"}},
]


def documented(heading: str) -> list[str]:
    """The names in the first column of a table of the document."""
    section = COVERAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)


def test_every_test_that_the_document_names_exists() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in TESTS.rglob("test_*.py")]
    exist = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    named = set(re.findall(r"`(test_\w+)`", COVERAGE)) - {"test_coverage"}

    assert named - exist == set()


@pytest.mark.parametrize(
    ("heading", "schema", "example"),
    [("Fields of a run step", "RunStepObject", STEP), ("Fields of a run", "RunObject", RUN)],
)
def test_every_field_of_the_published_description_is_in_the_document(
    heading: str, schema: str, example: dict[str, Any]
) -> None:
    published = list(SCHEMAS[schema]["properties"])

    assert sorted(documented(heading)) == sorted(published)
    assert sorted(example) == sorted(published)


def read_row(item: dict[str, Any], table: str) -> dict[str, Any]:
    frames = flatten([landed_walk([item])])
    assert frames["rejects"].is_empty()
    (row,) = (
        frames[table]
        .with_columns(column.dt.epoch("s") for column in frames[table] if column.dtype.is_temporal())
        .to_dicts()
    )
    return dict(row)


def test_every_field_of_a_step_is_in_a_column_or_in_extra() -> None:
    row = read_row(STEP, "run_steps")

    copied = set(STEP) - {"id", "step_details", "last_error", "metadata", "usage"}
    assert {name: row[name] for name in copied} == {name: STEP[name] for name in copied}
    assert (row["step_id"], row["message_id"], row["details_type"]) == ("step_1", "msg_1", "message_creation")
    assert (row["last_error_code"], row["last_error_message"]) == ("server_error", "it broke")
    assert json.loads(row["metadata"]) == {"team": "blue"}
    assert [row[f"{name}_tokens"] for name in ("prompt", "cached", "completion", "reasoning", "total")] == [
        101,
        50,
        102,
        60,
        203,
    ]
    assert row["extra"] is None


def test_every_field_of_a_run_is_in_a_column_or_in_extra() -> None:
    row = read_row(RUN, "runs")

    kept = json.loads(row["extra"])
    assert kept == {
        name: RUN[name]
        for name in (
            "required_action",
            "temperature",
            "top_p",
            "max_prompt_tokens",
            "max_completion_tokens",
            "truncation_strategy",
            "tool_choice",
            "parallel_tool_calls",
            "response_format",
        )
    }
    copied = set(RUN) - set(kept) - {"id", "last_error", "incomplete_details", "tools", "metadata", "usage"}
    assert {name: row[name] for name in copied} == {name: RUN[name] for name in copied}
    assert (row["run_id"], row["incomplete_reason"]) == ("run_1", "max_prompt_tokens")
    assert (row["last_error_code"], row["last_error_message"]) == ("invalid_prompt", "it broke")
    assert (json.loads(row["tools"]), json.loads(row["metadata"])) == (RUN["tools"], RUN["metadata"])
    assert [row[f"{name}_tokens"] for name in ("prompt", "cached", "completion", "reasoning", "total")] == [
        101,
        50,
        102,
        60,
        203,
    ]


def test_every_tool_call_field_of_the_description_is_in_a_column_or_in_payload() -> None:
    step = {**STEP, "type": "tool_calls", "step_details": {"type": "tool_calls", "tool_calls": TOOL_CALLS}}

    frames = flatten([landed_walk([step])])

    calls = frames["tool_calls"].select("tool_call_id", "type", "name", "arguments", "output", "payload").rows()
    ranking = '{"file_search":{"ranking_options":{"ranker":"auto","score_threshold":0.5}}}'
    assert calls == [
        ("call_1", "code_interpreter", "code_interpreter", "print(1)", "1", None),
        ("call_2", "file_search", "file_search", None, None, ranking),
        ("call_3", "function", "look_up", "{}", "no", None),
    ]
    assert frames["code_interpreter_outputs"].select("type", "logs", "file_id").rows() == [
        ("logs", "1", None),
        ("image", None, "file_1"),
    ]
    assert frames["file_search_results"].select("file_id", "file_name", "score", "content").rows() == [
        ("file_2", "a.txt", 0.75, '[{"type":"text","text":"found"}]')
    ]
