"""An account where every text that may be a customer's holds a mark, and a search for it in all that is on disk."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.emulator import Corpus
from pipeline.emulator.account.corpus import Item, RunRecord, ThreadRecord

MARK = "zq7mark"
# Texts that are the protocol's or the developer's own words; written for the test, not taken from the product.
_STRUCTURE = {
    "id", "object", "type", "status", "thread_id", "run_id", "assistant_id", "message_id", "file_id", "model", "code",
    "name", "server_label", "reason", "ranker", "tool_choice", "response_format", "vector_store_ids", "file_ids",
    "reasoning_effort",
}  # fmt: skip
# Below these nothing is structure.
_CONTENT = {"metadata", "attributes", "parameters", "content_of_nobody"}


def mark_corpus(corpus: Corpus) -> Corpus:
    """The same account, marked. Fields that nobody knows are in every object; one run and one step are all broken."""
    threads = [ThreadRecord(thread.item, tuple(_mark_run(run) for run in thread.runs)) for thread in corpus.threads]
    first = next(index for index, thread in enumerate(threads) if any(run.steps for run in thread.runs))
    threads[first] = _with_broken(threads[first])
    return replace(corpus, threads=tuple(threads), changed_runs={}, new_runs={})


def mark_object(value: dict[str, Any]) -> dict[str, Any]:
    """A run or a step with marks, and with fields that nobody knows."""
    marked: dict[str, Any] = _mark(value, ())
    marked["field_of_nobody"] = f"{MARK} text"
    marked["object_of_nobody"] = {"deep": [{"deeper": f"{MARK} deep"}], f"{MARK}_key": 1}
    for call in (marked.get("step_details") or {}).get("tool_calls") or ():
        call["content_of_nobody"] = {"note": f"{MARK} note", "list": [f"{MARK} item"]}
    return marked


def find_marks(folder: Path) -> list[str]:
    """Files below a folder that hold the mark: in their bytes, in packed columns, in any value of any table."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        texts = [path.read_bytes()]
        if path.name.endswith((".parquet", ".damaged", ".flat")) and path.stat().st_size:
            texts.append(repr(pl.read_parquet(io.BytesIO(texts[0])).rows()).encode())
        elif path.suffix == ".duckdb":
            texts += [table.encode() for table in _read_tables(path)]
        if any(MARK.encode() in text.lower() for text in texts):
            found.append(str(path.relative_to(folder)))
    return found


def _read_tables(path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = connection.execute("select table_name from duckdb_tables()").fetchall()
        for (name,) in names:
            yield repr(connection.execute(f"select columns(*)::varchar from {name}").fetchall())


def _mark_run(run: RunRecord) -> RunRecord:
    return RunRecord(_mark_item(run.item), tuple(_mark_item(step) for step in run.steps))


def _mark_item(item: Item) -> Item:
    full = None if item.body_with_content is None else _marked_body(item.body_with_content)
    return Item(item.object_id, _marked_body(item.body), full)


def _marked_body(body: bytes) -> bytes:
    return json.dumps(mark_object(json.loads(body))).encode()


def _mark(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _mark(child, (*path, key)) for key, child in value.items()}
    if isinstance(value, list):
        return [_mark(child, path) for child in value]
    is_structure = path and path[-1] in _STRUCTURE and not _CONTENT & set(path)
    return value if is_structure or not isinstance(value, str) else f"{value} {MARK} {'/'.join(path)}"


def _with_broken(thread: ThreadRecord) -> ThreadRecord:
    """The last run and its last step have a marked text, or an object with one, wherever something else belongs."""
    *before, last = [run for run in thread.runs if run.steps]
    others = [run for run in thread.runs if not run.steps]
    run, step = json.loads(last.item.body), json.loads(last.steps[-1].body)
    texts = {"created_at": MARK, "usage": MARK, "last_error": [MARK], "metadata": MARK, "object": {"x": MARK}}
    broken_run = {**run, **texts, "instructions": {"text": MARK}, "model": [MARK], "tools": MARK, "status": "failed"}
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": [MARK], "arguments": {"a": MARK}, "output": [MARK]}},
        {"id": "call_2", "type": "code_interpreter", "code_interpreter": {"input": {"a": MARK}, "outputs": MARK}},
        {"id": "call_3", "type": "file_search", "file_search": [{"a": MARK}]},
        {"id": "call_4", "type": "tool_of_nobody", "tool_of_nobody": {"input": MARK, "x": MARK, "output": {"a": MARK}}},
        {"id": "call_5", "type": "mcp", "name": "look_up", "arguments": {"a": MARK}, "output": [MARK]},
        {"id": {"x": MARK}, "type": {"x": MARK}, "function": MARK},
        MARK,
    ]
    details = {"type": "tool_calls", "tool_calls": calls, "message_creation": MARK}
    broken_step = {**step, **texts, "step_details": details, "status": "failed"}
    steps = (*last.steps[:-1], Item(step["id"], json.dumps(broken_step).encode()))
    broken = RunRecord(Item(run["id"], json.dumps(broken_run).encode()), steps)
    return ThreadRecord(thread.item, (*others, *before, broken))
