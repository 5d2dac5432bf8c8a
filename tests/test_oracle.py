"""The product and a second, simple implementation read the same odd pages in the same way, values and rejects alike."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import WalkError
from pipeline.flatten import flatten
from pipeline.pages import Page
from pipeline.paging import Ask, ListAnswer, ListWalk, walk_list
from pipeline.wire import ItemHead, ListHead
from tests.landed import Json, landed_bodies
from tests.oracle import Reading, read_runs, read_steps, walk_pages

RUN = {"object": "thread.run", "thread_id": "thread_1"}
STEP = {"object": "thread.run.step", "thread_id": "thread_1", "run_id": "run_1"}

# --- values as servers send them, and as they should not -------------------------------------------------------------

texts = st.sampled_from(["", "a", "completed", "expired", "\u00e9\U0001f600", "two\nlines", "nul\0", '"quoted"'])
odd = st.sampled_from([None, True, 7, -1, 1.5, "7", "", [], {}, [None], {"a": 1}, 2**70])
simple_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts, lambda inner: st.lists(inner, max_size=2), max_leaves=4
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Good values, now and then anything."""
    return st.integers(0, 11).flatmap(lambda dice: odd if dice == 0 else good)


def records(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Json]:
    """Objects with any of these fields."""
    return st.fixed_dictionaries({}, optional={name: mostly(good) for name, good in fields.items()})


times = st.sampled_from([-1, 0, 1779289577, 1779289577.25, 1779289577123, 4e13, -2, 5e13, 1779289577.1234567])
tokens = st.sampled_from([0, 1, 36, 2**53 + 1, 2**62, 2**62 + 1, -5, 12.5, 12.0, "36"])
cached = records({"cached_tokens": tokens, "audio_tokens": tokens})
usages = records(
    {
        "prompt_tokens": tokens,
        "completion_tokens": tokens,
        "total_tokens": tokens,
        "prompt_token_details": cached,
        "prompt_tokens_details": cached,
        "completion_tokens_details": records({"reasoning_tokens": tokens}),
        "seconds": tokens,
    }
)
outputs = records({"type": texts, "logs": texts, "image": records({"file_id": texts}), "new": odd})
results = records({"file_id": texts, "file_name": texts, "score": st.sampled_from([0, 0.5, 1, "0.5", True])})
calls = records(
    {
        "id": texts,
        "type": st.sampled_from(["function", "code_interpreter", "mcp", "unheard of"]),
        "function": records({"name": texts, "arguments": simple_json, "output": simple_json, "new": odd}),
        "code_interpreter": records({"input": texts, "outputs": st.lists(mostly(outputs), max_size=3)}),
        "file_search": records({"results": st.lists(mostly(results), max_size=3)}),
        "name": simple_json,
        "arguments": simple_json,
        "output": simple_json,
        "server_label": texts,
    }
)
details = records(
    {
        "type": texts,
        "message_creation": records({"message_id": texts, "new": odd}),
        "tool_calls": st.lists(mostly(calls), max_size=3),
        "activities": simple_json,
    }
)
steps = records(
    {
        "id": st.sampled_from(["step_1", "step_2", "step_3", "step/\u00e9", ""]),
        "object": texts,
        "run_id": texts,
        "thread_id": texts,
        "assistant_id": texts,
        "type": texts,
        "status": st.sampled_from(["completed", "expired"]),
        "created_at": times,
        "completed_at": times,
        "cancelled_at": times,
        "expired_at": times,
        "expires_at": times,
        "failed_at": times,
        "last_error": records({"code": texts, "message": texts, "new": odd}),
        "step_details": details,
        "usage": usages,
        "metadata": simple_json,
        "new": simple_json,
    }
)
runs = records(
    {
        "id": st.sampled_from(["run_1", "run_2", "run/\u00e9"]),
        **dict.fromkeys(("object", "thread_id", "assistant_id", "status", "model", "instructions"), texts),
        **dict.fromkeys(("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"), times),
        "last_error": records({"code": texts, "message": texts, "new": odd}),
        "incomplete_details": records({"reason": texts, "new": odd}),
        "usage": usages,
        "tools": simple_json,
        "metadata": simple_json,
        "temperature": odd,
        "new": simple_json,
    }
)


def page_of(data: list[Any]) -> bytes:
    return json.dumps({"object": "list", "data": data}, ensure_ascii=False, separators=(",", ":")).encode()


def pages_of(items: st.SearchStrategy[Json]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.lists(mostly(items), max_size=4).map(page_of), min_size=1, max_size=3)


def rows_of(frame: Any, names: list[str], key: list[str]) -> list[tuple[Any, ...]]:
    return list(frame.select(names).sort(key).iter_rows())


def expected_rows(rows: list[Json], names: list[str], key: list[str]) -> list[tuple[Any, ...]]:
    ordered = sorted(rows, key=lambda row: [row[name] for name in key])
    return [tuple(row[name] for name in names) for row in ordered]


STEP_COLUMNS = [
    *("step_id", "step_index", "assistant_id", "type", "details_type", "status"),
    *("created_at", "completed_at", "cancelled_at", "failed_at", "expired_at"),
    *("last_error_code", "last_error_message", "message_id", "tool_call_count"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "total_tokens"),
]
TABLES = {
    "run_steps": ("steps", STEP_COLUMNS, ["step_id"]),
    "tool_calls": (
        "calls",
        ["step_id", "call_index", "tool_call_id", "type", "name", "arguments", "output"],
        ["step_id", "call_index"],
    ),
    "code_interpreter_outputs": (
        "outputs",
        ["step_id", "call_index", "output_index", "type", "logs", "file_id"],
        ["step_id", "call_index", "output_index"],
    ),
    "file_search_results": (
        "results",
        ["step_id", "call_index", "result_index", "file_id", "file_name", "score"],
        ["step_id", "call_index", "result_index"],
    ),
}


@settings(max_examples=300, deadline=None)
@given(pages=pages_of(steps))
def test_both_read_the_same_rows_and_rejects_from_odd_pages(pages: list[bytes]) -> None:
    frames = flatten([landed_bodies(pages, first=STEP)])
    simple: Reading = read_steps(pages)

    for table, (name, columns, key) in TABLES.items():
        assert rows_of(frames[table], columns, key) == expected_rows(getattr(simple, name), columns, key), table
    places = frames["rejects"].select("page_index", "item_index", "json_path").rows()
    assert sorted(places) == sorted(simple.rejects)


RUN_COLUMNS = [
    *("run_id", "run_index", "assistant_id", "object", "status", "model", "instructions"),
    *("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"),
    *("last_error_code", "last_error_message", "incomplete_reason"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "total_tokens"),
]


@settings(max_examples=300, deadline=None)
@given(pages=pages_of(runs))
def test_both_read_the_same_runs_and_rejects_from_odd_pages(pages: list[bytes]) -> None:
    frames = flatten([landed_bodies(pages, first=RUN)])
    simple = read_runs(pages)

    assert rows_of(frames["runs"], RUN_COLUMNS, ["run_id"]) == expected_rows(simple.runs, RUN_COLUMNS, ["run_id"])
    places = frames["rejects"].select("page_index", "item_index", "json_path").rows()
    assert sorted(places) == sorted(simple.rejects)


# --- paging ----------------------------------------------------------------------------------------------------------

ids = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "", None, 7])
envelopes = st.fixed_dictionaries(
    {
        "data": st.lists(ids.map(lambda item_id: {"id": item_id}), max_size=4),
        "has_more": st.sampled_from([True, True, True, False]),
    },
    optional={"last_id": ids},
)


@settings(max_examples=300, deadline=None)
@given(script=st.lists(envelopes, min_size=1, max_size=6), honest=st.booleans())
def test_both_walk_the_same_pages_to_the_same_end(script: list[Json], honest: bool) -> None:
    if honest:
        for number, envelope in enumerate(script):
            envelope["data"] = [{"id": f"{item['id']}{number}"} for item in envelope["data"]]
    asked: list[str | None] = []
    asked_simply: list[str | None] = []

    async def fetch(ask: Ask) -> ListAnswer:
        envelope = script[len(asked) % len(script)]
        asked.append(ask.after)
        head = ListHead(
            [ItemHead(item["id"]) for item in envelope["data"]],
            has_more=envelope["has_more"],
            last_id=envelope.get("last_id"),
        )
        page = Page(ask.page_index, ask.after, datetime(2026, 11, 20, tzinfo=UTC), None, json.dumps(envelope).encode())
        return ListAnswer(page, head)

    def answer(cursor: str | None) -> bytes:
        asked_simply.append(cursor)
        return json.dumps(script[(len(asked_simply) - 1) % len(script)]).encode()

    walk = ListWalk()
    try:
        asyncio.run(walk_list(fetch, walk))
        complete = True
    except WalkError:
        complete = False

    assert walk_pages(answer) == ([page.body for page in walk.pages], complete)
    assert asked_simply == asked
