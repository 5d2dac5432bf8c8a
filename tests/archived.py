"""Runs and steps as people have them in archives, and whole imports of them for tests."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.archives.progress import ImportProgress
from pipeline.verbs.archive_import import ImportRequest, run_import

JsonObject = dict[str, Any]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = 1_700_000_000


def run_object(run_id: str = "run_1", *, total: int | None = 30, **fields: Any) -> JsonObject:
    """A completed run with usage, unless fields say otherwise."""
    usage = (
        None
        if total is None
        else {"prompt_tokens": total - total // 2, "completion_tokens": total // 2, "total_tokens": total}
    )
    run = {
        "id": run_id,
        "object": "thread.run",
        "thread_id": "thread_1",
        "assistant_id": "asst_1",
        "status": "completed",
        "model": "gpt-4o",
        "created_at": START,
        "completed_at": START + 60,
        "usage": usage,
    }
    return run | fields


def step_object(step_id: str, *, at: int = 0, run_id: str = "run_1", total: int = 10, **fields: Any) -> JsonObject:
    """A completed message step, made `at` seconds after the start."""
    step = {
        "id": step_id,
        "object": "thread.run.step",
        "created_at": START + at,
        "completed_at": START + at,
        "run_id": run_id,
        "thread_id": "thread_1",
        "assistant_id": "asst_1",
        "type": "message_creation",
        "status": "completed",
        "step_details": {"type": "message_creation", "message_creation": {"message_id": f"msg_{step_id}"}},
        "usage": {"prompt_tokens": total - 5, "completion_tokens": 5, "total_tokens": total},
    }
    return step | fields


def function_step(step_id: str, output: str | None, **fields: Any) -> JsonObject:
    """A step of one function call."""
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}", "output": output}}
    return step_object(step_id, type="tool_calls", step_details={"type": "tool_calls", "tool_calls": [call]}, **fields)


def envelope(items: Sequence[JsonObject], **fields: Any) -> JsonObject:
    """A list as the API answers it."""
    return {"object": "list", "data": list(items), "has_more": False} | fields


def exchange(path: str, answer: Any, *, status: int = 200, packed: bool = False, text: str | None = None) -> JsonObject:
    """One request of an HTTP recording with its answer."""
    body = json.dumps(answer) if text is None else text
    content: JsonObject = {"mimeType": "application/json", "text": body}
    if packed:
        content |= {"encoding": "base64", "text": base64.b64encode(body.encode()).decode()}
    return {
        "startedDateTime": "2023-11-14T22:20:00.000Z",
        "request": {"method": "GET", "url": f"https://api.example.com/v1{path}"},
        "response": {"status": status, "content": content},
    }


def recording(*entries: JsonObject) -> JsonObject:
    """An HTTP recording (HAR)."""
    return {"log": {"version": "1.2", "entries": list(entries)}}


def write_json(path: Path, value: Any) -> Path:
    """The file, with one JSON document in it."""
    path.write_text(json.dumps(value), "utf-8")
    return path


def lines_of(objects: Sequence[Any]) -> bytes:
    """One object a line."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in objects)


def import_here(
    data_dir: Path, *paths: Path, source: str = "archive", now: datetime = NOW, odd_fields: Sequence[str] = ()
) -> ImportProgress:
    """Import in this process."""
    progress = ImportProgress()
    request = ImportRequest([str(path) for path in paths], source, data_dir, odd_fields=odd_fields)
    run_import(request, progress=progress, now=lambda: now)
    return progress
