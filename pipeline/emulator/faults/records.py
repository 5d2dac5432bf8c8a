"""Faults inside the objects: fields that are missing, of the wrong type, absurd or of another dialect."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pipeline.emulator.exchange import Exchange
from pipeline.emulator.faults.rules import FaultRule, FaultShape

Record = dict[str, Any]
RecordPatch = Callable[[Record, Mapping[str, Any]], None]

ODD_PREFIX: Final = "odd/"
_ODD_SUFFIX: Final = "?a=1&b=é #%2F+"
_TIMES: Final = ("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expired_at", "expires_at")


def make_odd_id(object_id: str) -> str:
    """The id with characters around it that must be escaped in a URL."""
    return f"{ODD_PREFIX}{object_id}{_ODD_SUFFIX}"


def read_odd_id(object_id: str) -> str:
    """The real id behind an odd one; any other id as it is."""
    if not object_id.startswith(ODD_PREFIX):
        return object_id
    return object_id.removeprefix(ODD_PREFIX).removesuffix(_ODD_SUFFIX)


def patch_records(exchange: Exchange, rule: FaultRule) -> None:
    """Patch each `every`-th object of the answer, beginning with the one at ordinal `start`."""
    page = exchange.page
    if page is None:
        return
    patch = RECORD_PATCHES[rule.parameters["kind"]]
    start, every = int(rule.parameters["start"]), max(1, int(rule.parameters["every"]))
    for position in range(start, len(page.bodies), every):
        record = msgspec.json.decode(page.bodies[position])
        before = json.dumps(record)
        patch(record, rule.parameters)
        if rule.parameters["kind"] == "odd_ids":
            record |= {name: asked for name, asked in exchange.parents.items() if name in record}
        # json, not msgspec: it can write a lone surrogate.
        if (after := json.dumps(record)) != before:
            page.bodies[position] = after.encode()
        if rule.parameters["kind"] == "odd_ids":
            page.first_id = record["id"] if position == 0 else page.first_id
            page.last_id = record["id"] if position == len(page.bodies) - 1 else page.last_id


def _null_id(record: Record, _parameters: Mapping[str, Any]) -> None:
    record["id"] = None


def _missing_id(record: Record, _parameters: Mapping[str, Any]) -> None:
    del record["id"]


def _string_usage(record: Record, _parameters: Mapping[str, Any]) -> None:
    usage = record.get("usage") or {}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        if name in usage:
            usage[name] = str(usage[name])


def _negative_tokens(record: Record, _parameters: Mapping[str, Any]) -> None:
    if record.get("usage"):
        record["usage"]["prompt_tokens"] = -5


def _fractional_tokens(record: Record, _parameters: Mapping[str, Any]) -> None:
    if record.get("usage"):
        record["usage"]["completion_tokens"] = 12.5


def _null_details(record: Record, _parameters: Mapping[str, Any]) -> None:
    record["step_details"] = None


def _unknown_type(record: Record, _parameters: Mapping[str, Any]) -> None:
    record["type"] = "telepathy"
    record["step_details"] = {"type": "telepathy", "telepathy": {"thought": "…", "strength": 3}}


def _type_mismatch(record: Record, _parameters: Mapping[str, Any]) -> None:
    record["type"] = "message_creation" if record.get("type") == "tool_calls" else "tool_calls"


def _python_call(logs: str, number: int) -> Record:
    outputs = [{"type": "logs", "logs": logs}]
    return {
        "id": f"call_emulated{number:016d}",
        "type": "code_interpreter",
        "code_interpreter": {"input": "print(text)", "outputs": outputs},
    }


def _set_calls(record: Record, calls: list[Record]) -> None:
    record["type"] = "tool_calls"
    record["step_details"] = {"type": "tool_calls", "tool_calls": calls}


def _big_logs(record: Record, parameters: Mapping[str, Any]) -> None:
    _set_calls(record, [_python_call("x" * int(parameters["bytes"]), 0)])


def _many_tool_calls(record: Record, parameters: Mapping[str, Any]) -> None:
    _set_calls(record, [_python_call("ok\n", number) for number in range(int(parameters["count"]))])


def _lone_surrogate(record: Record, _parameters: Mapping[str, Any]) -> None:
    _set_calls(record, [_python_call("half of an emoji: \ud83d", 0)])


def _nul_character(record: Record, _parameters: Mapping[str, Any]) -> None:
    _set_calls(record, [_python_call("before \0 after", 0)])


def _ms_timestamps(record: Record, _parameters: Mapping[str, Any]) -> None:
    for name in _TIMES:
        if name in record:
            record[name] = -1 if record[name] is None else record[name] * 1000
    record["last_error"] = {"code": "", "message": ""}
    if not record.get("usage"):
        record["usage"] = {}
    for call in (record.get("step_details") or {}).get("tool_calls", ()):
        call["id"] = ""


def _null_usage(record: Record, _parameters: Mapping[str, Any]) -> None:
    record["usage"] = None


def _zero_usage(record: Record, _parameters: Mapping[str, Any]) -> None:
    if record.get("usage"):
        record["usage"] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _other_usage(record: Record, _parameters: Mapping[str, Any]) -> None:
    if record.get("usage"):
        record["usage"]["prompt_tokens"] += 1
        record["usage"]["total_tokens"] += 1


def _open_status(record: Record, _parameters: Mapping[str, Any]) -> None:
    record["status"] = "in_progress"


def _other_run(record: Record, _parameters: Mapping[str, Any]) -> None:
    if "run_id" in record:
        record["run_id"] += "_other"


def _other_thread(record: Record, _parameters: Mapping[str, Any]) -> None:
    if "thread_id" in record:
        record["thread_id"] += "_other"


def _no_parents(record: Record, _parameters: Mapping[str, Any]) -> None:
    for name in ("run_id", "thread_id"):
        record.pop(name, None)


def _odd_ids(record: Record, _parameters: Mapping[str, Any]) -> None:
    record["id"] = make_odd_id(record["id"])


RECORD_PATCHES: Final[Mapping[str, RecordPatch]] = {
    "null_id": _null_id,
    "missing_id": _missing_id,
    "string_usage": _string_usage,
    "negative_tokens": _negative_tokens,
    "fractional_tokens": _fractional_tokens,
    "null_details": _null_details,
    "unknown_type": _unknown_type,
    "type_mismatch": _type_mismatch,
    "big_logs": _big_logs,
    "many_tool_calls": _many_tool_calls,
    "lone_surrogate": _lone_surrogate,
    "nul_character": _nul_character,
    "ms_timestamps": _ms_timestamps,
    "odd_ids": _odd_ids,
    "null_usage": _null_usage,
    "zero_usage": _zero_usage,
    "other_usage": _other_usage,
    "open_status": _open_status,
    "other_run": _other_run,
    "other_thread": _other_thread,
    "no_parents": _no_parents,
}

RECORD_SHAPE: Final = FaultShape(
    {"kind": "null_id", "start": 0, "every": 1, "bytes": 10_000_000, "count": 1000},
    {"kind": tuple(RECORD_PATCHES)},
)
