"""Tool calls as the second reading takes them apart: a row for each, and rows for what they put out and found."""

from typing import Any

from tests.oracle_values import Node, Row, filled, free

# Fields of an object under the name of the call's type, and the columns that they fill.
_COLUMNS = {
    "name": "name",
    "arguments": "arguments",
    "input": "arguments",
    "output": "output",
    "server_label": "server_label",
    "thread_id": "child_thread_id",
    "run_id": "child_run_id",
}
_FLAT = ("name", "arguments", "output", "server_label")
_OWN = ("function", "code_interpreter", "file_search")


def read_call(call: Node, place: Row, outputs: list[Row], results: list[Row]) -> Row:
    """The row of a call; `place` is its step and number."""
    row: Row = {
        "tool_call_id": call.text("id"),
        "type": call.text("type"),
        **dict.fromkeys([*_COLUMNS.values(), "status", "error"]),
    }
    left = {
        "function": _read_function(call.object("function"), row),
        "code_interpreter": _read_interpreter(call.object("code_interpreter"), row, place, outputs),
        "file_search": _read_search(call, place, results),
    }
    payload = call.rest("id", "type", *_FLAT, *_OWN)
    if isinstance(payload.get(row["type"]), dict):
        nested = payload.pop(row["type"])
        left[row["type"]] = {name: value for name, value in nested.items() if not _take(row, name, value)}
    payload |= {name: value for name, value in call.fields.items() if name in _FLAT and not _take(row, name, value)}
    payload |= filled(left)
    name = row["type"] if row["name"] is None else row["name"]
    return {**place, **row, "name": name, "payload": payload or None}


def _take(row: Row, name: str, value: Any) -> bool:
    """Put a field into its column; False if it has none or the column is taken."""
    column = _COLUMNS.get(name)
    if column is None or row[column] is not None:
        return False
    row[column] = free(value)
    return True


def _read_function(function: Node, row: Row) -> Row:
    row["name"] = function.text("name")
    row["arguments"] = free(function.fields.get("arguments"))
    row["output"] = free(function.fields.get("output"))
    return function.rest("name", "arguments", "output")


def _read_interpreter(interpreter: Node, row: Row, place: Row, outputs: list[Row]) -> Row:
    left = interpreter.rest("input", "outputs")
    code = interpreter.text("input")
    if row["arguments"] is None:
        row["arguments"] = code
    elif code is not None:
        left["input"] = code
    logs = []
    for index, output in enumerate(interpreter.nodes("outputs") or []):
        found: Row = {"output_index": index, "type": output.text("type"), "logs": output.text("logs")}
        image = output.object("image")
        outputs.append({**place, **found, "file_id": image.text("file_id")})
        logs += [] if found["logs"] is None else [found["logs"]]
        unknown = output.rest("type", "logs", "image") | filled({"image": image.rest("file_id")})
        left |= filled({f"outputs[{index}]": unknown})
    if logs and row["output"] is None:
        row["output"] = "\n".join(logs)
    return left


def _read_search(call: Node, place: Row, results: list[Row]) -> Any:
    """What is left of a file search; some servers send a list in its place, of which nothing is known."""
    if isinstance(call.fields.get("file_search"), list):
        return call.fields["file_search"]
    search = call.object("file_search")
    left = search.rest("results")
    for index, result in enumerate(search.nodes("results") or []):
        row: Row = {name: result.text(name) for name in ("file_id", "file_name")}
        row["score"] = result.number("score", is_whole=False)
        row |= {name: result.fields.get(name) for name in ("content", "attributes")}
        results.append({**place, "result_index": index, **row})
        left |= filled({f"results[{index}]": result.rest(*row)})
    return left
