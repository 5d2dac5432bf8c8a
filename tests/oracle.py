"""A second, deliberately simple reading of the protocol: plain Python, dicts and lists, unlike the product.

It takes the bytes of the pages of one walk and gives rows of `runs`, or of `run_steps`, `tool_calls`,
`code_interpreter_outputs` and `file_search_results`, and places of rejects. Each column is a rule written out once,
with no code of the product's.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WRONG = object()


@dataclass
class Reading:
    """Rows by table, and (page, item, JSON path) of every value that could not be read."""

    runs: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)
    outputs: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    rejects: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass
class _Place:
    """Where in the pages we are, and what was wrong there."""

    page: int
    item: int
    rejects: list[tuple[int, int, str]]

    def reject(self, path: str) -> None:
        self.rejects.append((self.page, self.item, path))


def walk_pages(answer: Callable[[str | None], bytes], most: int = 50) -> tuple[list[bytes], bool]:
    """The pages of a list by its cursors, and whether it came to an honest end (for servers that send has_more)."""
    pages: list[bytes] = []
    seen: list[str] = []
    cursor: str | None = None
    cursors = [cursor]
    while len(pages) < most:
        body = answer(cursor)
        envelope = json.loads(body)
        ids = [item.get("id") for item in envelope["data"]]
        names = [name for name in ids if isinstance(name, str) and name]
        old = [name for name in names if name in seen]
        all_old = len(old) == len(ids) and envelope["has_more"]
        if old and not all_old and list(dict.fromkeys(old)) != seen[-len(set(old)) :]:
            return pages, False
        pages.append(body)
        fresh = [name for name in dict.fromkeys(names) if name not in seen]
        seen += fresh
        if not envelope["has_more"]:
            return pages, True
        last = ids[-1] if ids else None
        if not (isinstance(last, str) and last):
            last = envelope.get("last_id")
        if not ids or not fresh or not isinstance(last, str) or not last or last in cursors:
            return pages, False
        cursor = last
        cursors.append(cursor)
    return pages, False


def read_steps(pages: Sequence[bytes]) -> Reading:
    """Rows and rejects of one walk over the steps of a run; a step that comes twice counts in its last state."""
    found = Reading()
    states: dict[str, tuple[int, Row, list[Row], list[Row], list[Row]]] = {}
    position = 0
    for page, body in enumerate(pages):
        for item, record in enumerate(json.loads(body)["data"]):
            place = _Place(page, item, found.rejects)
            read = _read_step(record, place, f"$.data[{item}]")
            if read is not None:
                step_id = read[0]["step_id"]
                first = states[step_id][0] if step_id in states else position
                states.pop(step_id, None)
                states[step_id] = (first, *read)
            position += 1
    for first, step, calls, outputs, results in states.values():
        found.steps.append({**step, "step_index": first})
        for rows, more in ((found.calls, calls), (found.outputs, outputs), (found.results, results)):
            rows += [{"step_id": step["step_id"], **row} for row in more]
    return found


def read_runs(pages: Sequence[bytes]) -> Reading:
    """Rows and rejects of one walk over the runs of a thread; a run that comes twice counts in its last state."""
    found = Reading()
    states: dict[str, Row] = {}
    position = 0
    for page, body in enumerate(pages):
        for item, record in enumerate(json.loads(body)["data"]):
            place = _Place(page, item, found.rejects)
            row = _read_run(record, place, f"$.data[{item}]")
            if row is not None:
                first = states[row["run_id"]]["run_index"] if row["run_id"] in states else position
                states[row["run_id"]] = {**row, "run_index": first}
            position += 1
    found.runs = list(states.values())
    return found


def _read_run(record: Any, place: _Place, path: str) -> Row | None:
    if not isinstance(record, dict):
        place.reject(path)
        return None
    row: Row = {"run_id": _read_id(record, place, path)}
    for name in ("assistant_id", "object", "status", "model", "instructions"):
        row[name] = _text(record, name, place, path)
    _text(record, "thread_id", place, path)
    for name in ("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"):
        row[name] = _instant(_number(record, name, place, path))
    details = _object(record, "incomplete_details", place, path)
    row["incomplete_reason"] = _text(details, "reason", place, f"{path}.incomplete_details")
    row |= _read_error(record, place, path) | _read_usage(record, place, path)
    return row if _has_id(record, place, path) else None


def _read_id(record: Row, place: _Place, path: str) -> Any:
    if "id" in record and not isinstance(record["id"], str):
        place.reject(f"{path}.id")
    return record.get("id")


def _has_id(record: Row, place: _Place, path: str) -> bool:
    if isinstance(record.get("id"), str):
        return True
    place.reject(path)
    return False


def _read_error(record: Row, place: _Place, path: str) -> Row:
    error = _object(record, "last_error", place, path)
    texts = {name: _text(error, name, place, f"{path}.last_error") for name in ("code", "message")}
    said = bool(texts["code"] or texts["message"])
    return {f"last_error_{name}": text if said else None for name, text in texts.items()}


def _read_step(record: Any, place: _Place, path: str) -> tuple[Row, list[Row], list[Row], list[Row]] | None:
    if not isinstance(record, dict):
        place.reject(path)
        return None
    row: Row = {"step_id": _read_id(record, place, path)}
    for name in ("assistant_id", "type", "status"):
        row[name] = _text(record, name, place, path)
    for name in ("run_id", "thread_id", "object"):
        _text(record, name, place, path)
    times = {
        name: _number(record, name, place, path)
        for name in ("created_at", "cancelled_at", "completed_at", "expired_at", "expires_at", "failed_at")
    }
    if times["expired_at"] is None and row["status"] == "expired":
        times["expired_at"] = times["expires_at"]
    row |= {name: _instant(times[name]) for name in times if name != "expires_at"}
    row |= _read_error(record, place, path) | _read_usage(record, place, path)
    details = _object(record, "step_details", place, path)
    here = f"{path}.step_details"
    row["details_type"] = _text(details, "type", place, here)
    message = _object(details, "message_creation", place, here)
    row["message_id"] = _text(message, "message_id", place, f"{here}.message_creation")
    calls = _list(details, "tool_calls", place, here)
    row["tool_call_count"] = None if calls is None else len(calls)
    outputs: list[Row] = []
    results: list[Row] = []
    rows = [
        _read_call(call, index, place, f"{here}.tool_calls[{index}]", outputs, results)
        for index, call in enumerate(calls or [])
    ]
    return (row, rows, outputs, results) if _has_id(record, place, path) else None


def _read_usage(record: Row, place: _Place, path: str) -> Row:
    usage = _object(record, "usage", place, path)
    here = f"{path}.usage"
    row = {name: _count(usage, name, place, here) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    cached = None
    spellings = ("prompt_token_details", "prompt_tokens_details")
    read = {name: _object(usage, name, place, here) for name in spellings}
    counts = {name: _count(read[name], "cached_tokens", place, f"{here}.{name}") for name in spellings}
    for name in reversed(spellings):
        if isinstance(usage.get(name), dict):
            cached = counts[name]
    reasoning = _object(usage, "completion_tokens_details", place, here)
    row["cached_tokens"] = cached
    row["reasoning_tokens"] = _count(reasoning, "reasoning_tokens", place, f"{here}.completion_tokens_details")
    return row


def _read_call(call: Any, index: int, place: _Place, path: str, outputs: list[Row], results: list[Row]) -> Row:
    if not isinstance(call, dict):
        place.reject(path)
        call = {}
    row: Row = {"call_index": index, "tool_call_id": _text(call, "id", place, path)}
    row["type"] = _text(call, "type", place, path)
    name = arguments = output = None
    function = _object(call, "function", place, path)
    name = _text(function, "name", place, f"{path}.function")
    arguments, output = _free(function.get("arguments")), _free(function.get("output"))
    interpreter = _object(call, "code_interpreter", place, path)
    code = _text(interpreter, "input", place, f"{path}.code_interpreter")
    arguments = code if arguments is None else arguments
    logs = _read_outputs(interpreter, index, place, f"{path}.code_interpreter", outputs)
    output = "\n".join(logs) if logs and output is None else output
    search = call.get("file_search")
    if search is not None and not isinstance(search, dict | list):
        place.reject(f"{path}.file_search")
    if isinstance(search, dict):
        _read_results(search, index, place, f"{path}.file_search", results)
    name = _free(call.get("name")) if name is None else name
    arguments = _free(call.get("arguments")) if arguments is None else arguments
    output = _free(call.get("output")) if output is None else output
    row |= {"name": row["type"] if name is None else name, "arguments": arguments, "output": output}
    return row


def _read_outputs(interpreter: Row, index: int, place: _Place, path: str, outputs: list[Row]) -> list[str]:
    logs: list[str] = []
    for number, output in enumerate(_list(interpreter, "outputs", place, path) or []):
        here = f"{path}.outputs[{number}]"
        if not isinstance(output, dict):
            place.reject(here)
            output = {}
        row: Row = {"call_index": index, "output_index": number, "type": _text(output, "type", place, here)}
        row["logs"] = _text(output, "logs", place, here)
        image = _object(output, "image", place, here)
        row["file_id"] = _text(image, "file_id", place, f"{here}.image")
        outputs.append(row)
        if row["logs"] is not None:
            logs.append(row["logs"])
    return logs


def _read_results(search: Row, index: int, place: _Place, path: str, results: list[Row]) -> None:
    for number, result in enumerate(_list(search, "results", place, path) or []):
        here = f"{path}.results[{number}]"
        if not isinstance(result, dict):
            place.reject(here)
            result = {}
        row: Row = {"call_index": index, "result_index": number}
        row |= {name: _text(result, name, place, here) for name in ("file_id", "file_name")}
        score = result.get("score")
        if score is not None and not _is_number(score):
            place.reject(f"{here}.score")
            score = None
        row["score"] = None if score is None else float(score)
        results.append(row)


def _text(record: Row, name: str, place: _Place, path: str) -> str | None:
    value = record.get(name)
    if value is None or isinstance(value, str):
        return value
    place.reject(f"{path}.{name}")
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(record: Row, name: str, place: _Place, path: str) -> float | None:
    value = record.get(name)
    if value is None:
        return None
    if not _is_number(value) or not -1 <= value <= 4e13:
        place.reject(f"{path}.{name}")
        return None
    return float(value)


def _count(record: Row, name: str, place: _Place, path: str) -> int | None:
    value = record.get(name)
    if value is None:
        return None
    # 12.0 is not written as a count: it is kept aside like 12.5.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 2**62:
        place.reject(f"{path}.{name}")
        return None
    return value


def _instant(value: float | None) -> datetime | None:
    if value is None or value == -1:
        return None
    return _EPOCH + timedelta(microseconds=round((value / 1000 if value > 1e11 else value) * 1_000_000))


def _object(record: Row, name: str, place: _Place, path: str) -> Row:
    value = record.get(name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    place.reject(f"{path}.{name}")
    return {}


def _list(record: Row, name: str, place: _Place, path: str) -> list[Any] | None:
    value = record.get(name)
    if value is None or isinstance(value, list):
        return value
    place.reject(f"{path}.{name}")
    return None


def _free(value: Any) -> str | None:
    """A text as it is, anything else as JSON in the shortest form."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
