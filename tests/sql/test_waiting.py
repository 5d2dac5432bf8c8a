"""Runs that wait for somebody: each call once, whether a step shows it or only the run says that it waits."""

from pathlib import Path
from typing import Any

import pytest

from tests.archived import import_here, run_object, step_object, write_json
from tests.syncs import read_all

MCP = {"type": "mcp", "server_label": "docs", "name": "search", "arguments": "{}"}
LOOK_UP = {"name": "look_up", "arguments": "{}"}
FUNCTION = {"type": "function", "function": LOOK_UP}


def waiting_run(calls: list[Any], **fields: Any) -> list[Any]:
    """A run that waits and its open step of these calls."""
    details = {"type": "tool_calls", "tool_calls": calls}
    step = step_object("step_1", type="tool_calls", status="in_progress", completed_at=None, step_details=details)
    return [run_object(total=None, status="requires_action", completed_at=None, **fields), step]


def asked_for(kind: str, calls: list[Any]) -> dict[str, Any]:
    """What a run says that it waits for."""
    return {"type": kind, kind: {"tool_calls": calls}}


APPROVAL = asked_for("submit_tool_approval", [{"id": "call_1", **MCP}])
OUTPUTS = asked_for("submit_tool_outputs", [{"id": "call_2", **FUNCTION}])
WAITING: dict[str, tuple[list[Any], int, list[str] | None]] = {
    "an mcp call": (waiting_run([{"id": "call_1", **MCP}]), 1, ["search"]),
    "an mcp call that has its output": (waiting_run([{"id": "call_1", **MCP, "output": "found"}]), 0, None),
    "two mcp calls of one name": (waiting_run([{"id": f"call_{n}", **MCP} for n in (1, 2)]), 2, ["search"]),
    "a function beside an mcp call": (
        waiting_run([{"id": "call_1", **MCP}, {"id": "call_2", **FUNCTION}]),
        2,
        ["look_up", "search"],
    ),
    "an approval that only the run names": (waiting_run([], required_action=APPROVAL), 1, ["search"]),
    "outputs that only the run names": (waiting_run([], required_action=OUTPUTS), 1, ["look_up"]),
    "an approval that both name": (waiting_run([{"id": "call_1", **MCP}], required_action=APPROVAL), 1, ["search"]),
    "an approval beside a function of the step": (
        waiting_run([{"id": "call_2", **FUNCTION}], required_action=APPROVAL),
        2,
        ["look_up", "search"],
    ),
}


@pytest.mark.parametrize("kind", WAITING)
def test_what_a_run_waits_for_is_counted_once_with_its_name(tmp_path: Path, kind: str) -> None:
    objects, calls, names = WAITING[kind]

    import_here(tmp_path, write_json(tmp_path / "archive.json", objects))

    found = read_all(tmp_path, "select waiting_calls, waiting_names from waiting_runs")
    assert found == [(calls, names)]
