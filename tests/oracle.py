"""A second, deliberately simple reading of the protocol: plain Python, dicts and lists, unlike the product.

It takes the bytes of the pages of one walk and gives rows of `runs`, or of `run_steps`, `tool_calls`,
`code_interpreter_outputs` and `file_search_results`, and rejects. Each column is a rule written out once, with no code
of the product's; columns of JSON hold values, not texts.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.oracle_calls import read_call
from tests.oracle_values import MILLISECONDS_ABOVE, Node, Row, filled, got, instant, node_of, shortest

_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")
_SPELLINGS = ("prompt_token_details", "prompt_tokens_details")
_RUN_TEXTS = ("assistant_id", "object", "status", "model", "instructions", "service_tier")
_RUN_TIMES = ("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at")
_RUN_PARTS = ("id", "thread_id", "last_error", "incomplete_details", "usage", "tools", "metadata")
# What classic runs say nothing of.
_OF_SUCCESSORS = ("is_batch", "previous_run_id", "subagent_id")
_STEP_TEXTS = ("assistant_id", "object", "type", "status")
_STEP_TIMES = ("created_at", "completed_at", "cancelled_at", "failed_at", "expired_at", "expires_at")
_STEP_PARTS = ("id", "thread_id", "run_id", "last_error", "step_details", "usage", "metadata")


@dataclass
class Reading:
    """Rows by table: of one run or step, or of a whole walk."""

    runs: list[Row] = field(default_factory=list)
    run_steps: list[Row] = field(default_factory=list)
    tool_calls: list[Row] = field(default_factory=list)
    code_interpreter_outputs: list[Row] = field(default_factory=list)
    file_search_results: list[Row] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)


def read_runs(pages: Sequence[bytes], owner: Row) -> Reading:
    """Rows and rejects of one walk over the runs of a thread; `owner` has its thread_id."""
    return _read_walk(pages, "run", owner, lambda node, one: one.runs.append(_read_run(node, owner)))


def read_steps(pages: Sequence[bytes], owner: Row) -> Reading:
    """Rows and rejects of one walk over the steps of a run; `owner` has its thread_id and run_id."""
    return _read_walk(pages, "step", owner, lambda node, one: _read_step(node, owner, one))


def _read_walk(pages: Sequence[bytes], name: str, owner: Row, read: Callable[[Node, Reading], None]) -> Reading:
    """What is read of all items; one that comes twice counts in its last state, at its first position."""
    whole = Reading()
    states: dict[str, Reading] = {}
    firsts: dict[str, int] = {}
    places = [(page, item) for page, body in enumerate(pages) for item in range(len(json.loads(body)["data"]))]
    position = -1
    for page, item in places:
        one = Reading()
        sent = json.loads(pages[page])["data"][item]
        found = shortest(sent)
        node = node_of(sent, f"$.data[{item}]", one.rejects, set())
        node.write_ids("id", *owner)
        read(node, one)
        item_id = _read_id(node, found)
        named = {name: node.fields.get(name) for name in owner if item_id is not None}
        others = {
            name: value for name, value in named.items() if isinstance(value, str) and value not in ("", owner[name])
        }
        if others:
            # Nothing is kept of what says that it belongs elsewhere, and it has no place in this list.
            name_of = "run_id" if "run_id" in others else "thread_id"
            reason = "it belongs to another list than was asked for: it is not kept"
            one.rejects.append({"json_path": f"{node.path}.{name_of}", "reason": reason, "found": others[name_of]})
        position += not others
        whole.rejects += [
            {"page_index": page, "item_index": item, "object_id": item_id, **reject} for reject in one.rejects
        ]
        if item_id is not None and not others:
            states[item_id] = one
            place = {f"{name}_index": firsts.setdefault(item_id, position), "page_index": page}
            for row in one.runs + one.run_steps:
                row |= place
    for one in states.values():
        whole.runs += one.runs
        whole.run_steps += one.run_steps
        whole.tool_calls += one.tool_calls
        whole.code_interpreter_outputs += one.code_interpreter_outputs
        whole.file_search_results += one.file_search_results
    return whole


def _read_id(node: Node, found: str) -> str | None:
    """The id of an item. One without is kept aside as a whole, as it was `found`."""
    item_id = node.fields.get("id")
    if isinstance(item_id, str):
        return item_id
    if "id" in node.fields:
        node.reject("id", got(item_id))
    if node.is_there:
        node.rejects.append({"json_path": node.path, "reason": "it has no usable id", "found": found})
    return None


def _read_run(run: Node, owner: Row) -> Row:
    texts = {name: run.text(name) for name in _RUN_TEXTS}
    times = {name: run.time(name) for name in _RUN_TIMES}
    details = run.object("incomplete_details")
    error, error_rest = _read_error(run)
    usage, usage_rest = _read_usage(run)
    extra = run.rest(*_RUN_TEXTS, *_RUN_TIMES, *_RUN_PARTS) | _others(run, owner) | _unit(times)
    extra |= filled({"last_error": error_rest, "usage": usage_rest, "incomplete_details": details.rest("reason")})
    extra |= filled({"spellings": sorted(run.notes)})
    return {
        "run_id": run.fields.get("id"),
        "protocol": "assistants",
        **dict.fromkeys(_OF_SUCCESSORS),
        **texts,
        **{name: instant(time) for name, time in times.items()},
        **error,
        **usage,
        "incomplete_reason": details.text("reason"),
        "tools": run.fields.get("tools"),
        "metadata": run.fields.get("metadata"),
        "extra": extra or None,
    }


def _read_step(step: Node, owner: Row, one: Reading) -> None:
    texts = {name: step.text(name) for name in _STEP_TEXTS}
    times = {name: step.time(name) for name in _STEP_TIMES}
    if (times["expired_at"] or 0) <= 0 and texts["status"] == "expired":
        times["expired_at"] = times["expires_at"]
    error, error_rest = _read_error(step)
    usage, usage_rest = _read_usage(step)
    details, details_rest = _read_details(step, one)
    extra = step.rest(*_STEP_TEXTS, *_STEP_TIMES, *_STEP_PARTS) | _others(step, owner) | _unit(times)
    extra |= filled({"last_error": error_rest, "usage": usage_rest, "step_details": details_rest})
    extra |= filled({"spellings": sorted(step.notes)})
    deadline = times.pop("expires_at")
    if deadline not in (None, times["expired_at"]):
        extra["expires_at"] = deadline
    one.run_steps.append(
        {
            "step_id": step.fields.get("id"),
            **texts,
            **{name: instant(time) for name, time in times.items()},
            **error,
            **usage,
            **details,
            "metadata": step.fields.get("metadata"),
            "extra": extra or None,
        }
    )


def _read_details(step: Node, one: Reading) -> tuple[Row, Row]:
    details = step.object("step_details")
    message = details.object("message_creation")
    calls = details.nodes("tool_calls")
    for index, call in enumerate(calls or []):
        place = {"step_id": step.fields.get("id"), "call_index": index}
        one.tool_calls.append(read_call(call, place, one.code_interpreter_outputs, one.file_search_results))
    row = {
        "details_type": details.text("type"),
        "message_id": message.text("message_id"),
        "tool_call_count": None if calls is None else len(calls),
    }
    rest = details.rest("type", "message_creation", "tool_calls")
    return row, rest | filled({"message_creation": message.rest("message_id")})


def _read_error(item: Node) -> tuple[Row, Row]:
    """Columns of the last error and what is left of it; one whose texts are empty is none."""
    error = item.object("last_error")
    texts = {name: error.text(name) for name in ("code", "message")}
    said = any(texts.values())
    row = {f"last_error_{name}": text if said else None for name, text in texts.items()}
    return row, error.rest("code", "message")


def _read_usage(item: Node) -> tuple[Row, Row]:
    """Columns of the usage and what is left of it; of two spellings the singular goes first, as the real API writes."""
    usage = item.object("usage")
    row = {name: usage.count(name) for name in _TOKENS}
    details = {name: usage.object(name) for name in (*_SPELLINGS, "completion_tokens_details")}
    rests = {name: part.rest("cached_tokens") for name, part in details.items() if name in _SPELLINGS}
    singular, plural = (details[name].count("cached_tokens") for name in _SPELLINGS)
    if singular is not None and plural is not None:
        rests["prompt_tokens_details"]["cached_tokens"] = plural
    reasoning = details["completion_tokens_details"]
    rests["completion_tokens_details"] = reasoning.rest("reasoning_tokens")
    row["cache_write_tokens"] = None
    row["cached_tokens"] = plural if singular is None else singular
    row["reasoning_tokens"] = reasoning.count("reasoning_tokens")
    return row, usage.rest(*_TOKENS, *details) | filled(rests)


def _others(item: Node, owner: Row) -> Row:
    """Ids of another run or thread than the one whose list this is."""
    sent = {name: item.text(name) for name in owner}
    return {name: sent[name] for name in owner if sent[name] not in (None, owner[name])}


def _unit(times: Row) -> Row:
    """The note that milliseconds were sent."""
    is_ms = any(time is not None and time > MILLISECONDS_ABOVE for time in times.values())
    return {"timestamp_unit": "ms"} if is_ms else {}
