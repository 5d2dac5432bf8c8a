"""Tool calls of steps to rows: what the columns cannot hold stays in `payload`, in the shape it had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import astuple

from pipeline.flatten.successors.calls import CallRow
from pipeline.protocol.json_text import join_fields, raw_text, text_of
from pipeline.protocol.spellings import snake_case
from pipeline.protocol.wire import CodeInterpreter, FileSearch, FunctionCall, Step, ToolCall

# Fields of an mcp call, beside its id and type.
_FLAT_FIELDS = ("name", "arguments", "output", "server_label")
_DECODED_FIELDS = ("unknown", "id", "type", "function", "code_interpreter", "file_search")
_NESTED_FIELDS = tuple(name for name in ToolCall.__struct_fields__ if name not in (*_FLAT_FIELDS, *_DECODED_FIELDS))
# The free fields stand together in the struct; most calls have none of them, which one comparison shows.
_FREE_FIELDS = slice(ToolCall.__struct_fields__.index("retrieval"), ToolCall.__struct_fields__.index("unknown"))
_NO_FREE_FIELDS = (UNSET,) * len(ToolCall.__struct_fields__[_FREE_FIELDS])
_NULL = Raw(b"null")


@dataclass(slots=True)
class _Call:
    """The columns of one call while they are gathered; `payload` holds JSON texts."""

    name: str | None = None
    status: str | None = None
    error: str | None = None
    arguments: str | None = None
    output: str | None = None
    server_label: str | None = None
    child_thread_id: str | None = None
    child_run_id: str | None = None
    payload: dict[str, Raw | str] = field(default_factory=dict)


CALL_COLUMNS: dict[str, tuple[str, ...]] = {
    "tool_calls": (
        "item_key",
        "call_index",
        "tool_call_id",
        "type",
        "name",
        "status",
        "error",
        "arguments",
        "output",
        "server_label",
        "child_thread_id",
        "child_run_id",
        "payload",
    ),
    "code_interpreter_outputs": ("item_key", "call_index", "output_index", "type", "logs", "file_id"),
    "file_search_results": (
        "item_key",
        "call_index",
        "result_index",
        "file_id",
        "file_name",
        "score",
        "content",
        "attributes",
    ),
}


@dataclass(slots=True)
class CallRows:
    """Rows of the three tables below steps, in `CALL_COLUMNS`; `item_key` is the step's number in its batch."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {name: [] for name in CALL_COLUMNS})

    def columns(self, table: str) -> dict[str, Any]:
        """The rows of one table as columns."""
        names, rows = CALL_COLUMNS[table], self.rows[table]
        values = zip(*rows, strict=True) if rows else [()] * len(names)
        return dict(zip(names, values, strict=True))

    def add_step(self, item_key: int, step: Step) -> None:
        """Rows for all calls of a step, if it has any."""
        if step.step_details is None or not step.step_details.tool_calls:
            return
        for call_index, tool_call in enumerate(step.step_details.tool_calls):
            call = _read_call(tool_call)
            if tool_call.code_interpreter is not None:
                self._add_outputs(item_key, call_index, tool_call.code_interpreter)
            if isinstance(tool_call.file_search, FileSearch):
                self._add_results(item_key, call_index, tool_call.file_search)
            self.rows["tool_calls"].append(
                (
                    item_key,
                    call_index,
                    tool_call.id,
                    tool_call.type,
                    call.name if call.name is not None else tool_call.type,
                    call.status,
                    call.error,
                    call.arguments,
                    call.output,
                    call.server_label,
                    call.child_thread_id,
                    call.child_run_id,
                    join_fields(call.payload),
                )
            )

    def add_rows(self, item_key: int, calls: Sequence[CallRow]) -> None:
        """Rows for the calls of a response or a turn."""
        for call_index, call in enumerate(calls):
            self.rows["tool_calls"].append(
                (
                    item_key,
                    call_index,
                    call.tool_call_id,
                    call.type,
                    call.name,
                    call.status,
                    call.error,
                    call.arguments,
                    call.output,
                    call.server_label,
                    call.child_thread_id,
                    None,
                    join_fields(call.payload),
                )
            )
            for table, rows in (("code_interpreter_outputs", call.outputs), ("file_search_results", call.results)):
                self.rows[table] += [(item_key, call_index, index, *row) for index, row in enumerate(rows)]

    def _add_outputs(self, item_key: int, call_index: int, interpreter: CodeInterpreter) -> None:
        self.rows["code_interpreter_outputs"] += [
            (item_key, call_index, index, output.type, output.logs, output.image.file_id if output.image else None)
            for index, output in enumerate(interpreter.outputs or ())
        ]

    def _add_results(self, item_key: int, call_index: int, search: FileSearch) -> None:
        self.rows["file_search_results"] += [
            (
                item_key,
                call_index,
                index,
                result.file_id,
                result.file_name,
                result.score,
                _free_text(result.content),
                _free_text(result.attributes),
            )
            for index, result in enumerate(search.results or ())
        ]


def _read_call(tool_call: ToolCall) -> _Call:
    call = _Call(payload=dict(tool_call.unknown) if tool_call.unknown else {})
    if tool_call.function is not None:
        _read_function(call, tool_call.function)
    if tool_call.code_interpreter is not None:
        _read_code_interpreter(call, tool_call.code_interpreter)
    if tool_call.file_search is not None:
        _read_file_search(call, tool_call.file_search)
    has_free = astuple(tool_call)[_FREE_FIELDS] != _NO_FREE_FIELDS
    for name in _NESTED_FIELDS if has_free else ():
        if (raw := getattr(tool_call, name)) is not UNSET:
            call.payload[name] = raw
    if (nested := _nested_name(tool_call.type, call.payload)) is not None:
        _read_nested(call, nested, call.payload.pop(nested))
    for name in _FLAT_FIELDS if has_free else ():
        if (raw := getattr(tool_call, name)) is not UNSET:
            _take(call, name, raw, call.payload)
    return call


def _nested_name(call_type: str | None, payload: Mapping[str, object]) -> str | None:
    """The field named like the call's type, also where it is one that nobody knows and in another spelling."""
    if call_type is None or not payload or call_type in payload:
        return call_type if call_type in payload else None
    return next((name for name in payload if snake_case(name) == snake_case(call_type)), None)


def _read_function(call: _Call, function: FunctionCall) -> None:
    call.name = function.name
    call.arguments = text_of(function.arguments)
    call.output = text_of(function.output)
    if function.unknown:
        call.payload["function"] = _joined(function.unknown)


def _read_code_interpreter(call: _Call, interpreter: CodeInterpreter) -> None:
    kept: dict[str, Raw | str] = dict(interpreter.unknown) if interpreter.unknown else {}
    if call.arguments is None:
        call.arguments = interpreter.input
    elif interpreter.input is not None:
        kept["input"] = msgspec.json.encode(interpreter.input).decode()
    logs = [output.logs for output in interpreter.outputs or () if output.logs is not None]
    if logs and call.output is None:
        call.output = "\n".join(logs)
    for index, output in enumerate(interpreter.outputs or ()):
        unknown: dict[str, Raw | str] = dict(output.unknown) if output.unknown else {}
        if output.image is not None and output.image.unknown:
            unknown["image"] = _joined(output.image.unknown)
        if unknown:
            kept[f"outputs[{index}]"] = _joined(unknown)
    if kept:
        call.payload["code_interpreter"] = _joined(kept)


def _read_file_search(call: _Call, search: FileSearch | list[Raw]) -> None:
    if isinstance(search, list):
        if search:
            call.payload["file_search"] = "[" + ",".join(raw_text(raw) for raw in search) + "]"
        return
    kept: dict[str, Raw | str] = dict(search.unknown or {})
    if search.ranking_options is not UNSET:
        kept["ranking_options"] = search.ranking_options
    for index, result in enumerate(search.results or ()):
        if result.unknown:
            kept[f"results[{index}]"] = _joined(result.unknown)
    if kept:
        call.payload["file_search"] = _joined(kept)


def _read_nested(call: _Call, name: str, raw: Raw | str) -> None:
    """Columns from an object under the name of the call's type; what they do not take stays under that name."""
    if isinstance(raw, str) or not bytes(raw).startswith(b"{"):
        call.payload[name] = raw
        return
    kept: dict[str, Raw | str] = {}
    for key, value in msgspec.json.decode(raw, type=dict[str, Raw]).items():
        _take(call, key, value, kept)
    if kept:
        call.payload[name] = _joined(kept)


_COLUMN_OF_FIELD = {
    "name": "name",
    "arguments": "arguments",
    "input": "arguments",
    "output": "output",
    "server_label": "server_label",
    "thread_id": "child_thread_id",
    "run_id": "child_run_id",
}


def _take(call: _Call, name: str, raw: Raw, kept: dict[str, Raw | str]) -> None:
    """Put one field into its column, or into `kept` if it has none, is taken already, or cannot be text."""
    column = _COLUMN_OF_FIELD.get(name) or _COLUMN_OF_FIELD.get(snake_case(name))
    if column is None or getattr(call, column) is not None:
        kept[name] = raw
        return
    try:
        setattr(call, column, text_of(raw))
    except msgspec.DecodeError:
        kept[name] = raw


def _free_text(value: Any) -> str | None:
    return None if value is UNSET or value == _NULL else raw_text(value)


def _joined(fields: dict[str, Any]) -> str:
    return join_fields(fields) or "{}"
