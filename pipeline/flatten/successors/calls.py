"""Calls of a response or a turn to rows: a call and its output, which stands where it stands, are one row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from pipeline.flatten.successors.capping import capped, take_text
from pipeline.flatten.successors.joining import Item
from pipeline.flatten.successors.results import read_hits, read_outputs
from pipeline.protocol.item_types import NAMES_ITS_TYPE, Kind, is_known, kind_of, tool_of
from pipeline.protocol.json_text import join_fields, raw_text

# What an item says of its run, which the run itself says.
_OF_THE_RUN = ("response_id", "turn_id", "agent_reference", "created_by")
_FAILED = ("failed", "incomplete")


@dataclass(slots=True)
class CallRow:
    """The columns of one call; `outputs` and `results` are the rows below it, without their keys."""

    tool_call_id: str | None
    type: str
    name: str | None = None
    status: str | None = None
    error: str | None = None
    arguments: str | None = None
    output: str | None = None
    server_label: str | None = None
    child_thread_id: str | None = None
    payload: dict[str, Raw | str] = field(default_factory=dict)
    outputs: list[tuple[Any, ...]] = field(default_factory=list)
    results: list[tuple[Any, ...]] = field(default_factory=list)


def read_call(call: Item, output: Item | None, *, of_run: Mapping[str, Raw]) -> CallRow:
    """The row of a call; `of_run` is what its run says by itself and need not be said again."""
    if not is_known(call.type):
        # Nobody knows its type: all of it is kept together.
        whole: dict[str, Raw | str] = {name: capped(name, raw) for name, raw in call.fields.items()}
        own_id, status = call.call_id or call.text("id"), call.text("status")
        return CallRow(own_id, call.type or "unknown", call.type or "unknown", status, payload=whole)
    fields = dict(call.fields)
    row = CallRow(call.call_id or call.text("id"), _type_of(call))
    kind = kind_of(row.type)
    for name in ("type", "status", "call_id" if call.text("call_id") else "id"):
        if call.text(name) is not None:
            fields.pop(name)
    row.status = call.text("status")
    row.name = take_text(fields, *kind.name) or row.type
    row.arguments = take_text(fields, *kind.arguments)
    row.output = take_text(fields, *kind.output)
    row.error = take_text(fields, "error")
    row.server_label = take_text(fields, "server_label")
    if kind.child is not None:
        row.child_thread_id = take_text(fields, kind.child)
    _read_results(row, fields)
    _read_exit(row, fields.get("exit_code"))
    _keep(row.payload, fields, of_run)
    if output is not None:
        _read_output(row, output, kind, of_run)
    return row


def _type_of(call: Item) -> str:
    name = tool_of(call.type)
    named = call.text("name")
    return tool_of(named) if name == NAMES_ITS_TYPE and named is not None else name


def _read_output(row: CallRow, output: Item, kind: Kind, of_run: Mapping[str, Raw]) -> None:
    """The output of a call that stands in an item of its own."""
    fields = dict(output.fields)
    for name in ("type", "call_id", "name"):
        if output.text(name) is not None:
            fields.pop(name)
    if row.output is None:
        row.output = take_text(fields, *kind.result)
    if row.error is None:
        row.error = take_text(fields, "error")
    status = output.text("status")
    if status is not None:
        del fields["status"]
        if status in _FAILED or row.status is None:
            row.status = status
    _read_shell(row)
    kept: dict[str, Raw | str] = {}
    _keep(kept, fields, of_run)
    if kept:
        row.payload["output"] = join_fields(kept) or "{}"


def _read_results(row: CallRow, fields: dict[str, Raw]) -> None:
    """Outputs of the code interpreter and hits of a file search, which have rows of their own."""
    if row.type == "code_interpreter":
        name, read, rows = "outputs", read_outputs, row.outputs
    elif row.type == "file_search":
        name, read, rows = "results", read_hits, row.results
    else:
        return
    if (raw := fields.get(name)) is None or (below := read(raw)) is None:
        return
    del fields[name]
    rows += below.rows
    row.payload |= {f"{name}[{index}]": join_fields(kept) or "{}" for index, kept in enumerate(below.kept) if kept}
    logs = [text for _, text, _ in row.outputs if text is not None]
    if logs:
        row.output = "\n".join(logs)


def _read_shell(row: CallRow) -> None:
    """What went wrong in a shell: the first of its commands that did not end with 0."""
    if row.type != "shell" or row.error is not None or not (row.output or "").startswith("["):
        return
    try:
        parts = json.loads(row.output or "[]")
    except ValueError:
        return
    for part in parts:
        outcome = part.get("outcome") if isinstance(part, dict) else None
        if not isinstance(outcome, dict):
            continue
        if outcome.get("type") == "timeout":
            row.error = "timeout"
        elif outcome.get("exit_code") not in (None, 0):
            row.error = f"exit code {outcome['exit_code']}"
        if row.error is not None:
            return


def _read_exit(row: CallRow, raw: Raw | None) -> None:
    if raw is not None and row.error is None and bytes(raw) not in (b"0", b'"0"'):
        row.error = f"exit code {raw_text(raw)}"


def _keep(kept: dict[str, Raw | str], fields: Mapping[str, Raw], of_run: Mapping[str, Raw]) -> None:
    for name, raw in fields.items():
        if name not in _OF_THE_RUN or of_run.get(name) != raw:
            kept[name] = capped(name, raw)
