"""Pages of runs and of steps as servers send them, and as they should not, for hypothesis to make."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.landed import Json

texts = st.sampled_from(["", "a", "completed", "expired", "\u00e9\U0001f600", "two\nlines", "nul\0", '"quoted"'])
odd = st.sampled_from([None, True, 7, -1, 1.5, "7", "", [], {}, [None], {"a": 1}, 2**70])
simple_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Good values, now and then anything."""
    return st.integers(0, 11).flatmap(lambda dice: odd if dice == 0 else good)


def records(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Json]:
    """Objects with any of these fields, and with one that nobody knows."""
    return st.fixed_dictionaries({}, optional={name: mostly(good) for name, good in {**fields, "new": odd}.items()})


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
    }
)
errors = records({"code": texts, "message": texts})
outputs = records({"type": texts, "logs": texts, "image": records({"file_id": texts})})
results = records(
    {
        "file_id": texts,
        "file_name": texts,
        "score": st.sampled_from([0, 0.5, 1, "0.5", True]),
        "content": simple_json,
        "attributes": simple_json,
    }
)
searches = records({"ranking_options": simple_json, "results": st.lists(mostly(results), max_size=3)})
nested = records(
    dict.fromkeys(("name", "arguments", "input", "output", "server_label", "thread_id", "run_id"), simple_json)
)
CALL_TYPES = ("function", "code_interpreter", "file_search", "mcp", "openapi", "connected_agent", "quark_search")
calls = records(
    {
        "id": texts,
        "type": st.sampled_from(CALL_TYPES),
        "function": records({"name": texts, "arguments": simple_json, "output": simple_json}),
        "code_interpreter": records({"input": texts, "outputs": st.lists(mostly(outputs), max_size=3)}),
        "file_search": searches | st.lists(odd, max_size=2),
        **dict.fromkeys(("openapi", "connected_agent", "quark_search"), nested),
        **dict.fromkeys(("name", "arguments", "output"), simple_json),
        "server_label": texts,
    }
)
details = records(
    {
        "type": texts,
        "message_creation": records({"message_id": texts}),
        "tool_calls": st.lists(mostly(calls), max_size=3),
        "activities": simple_json,
    }
)
steps = records(
    {
        "id": st.sampled_from(["step_1", "step_2", "step_3", "step/\u00e9", ""]),
        "thread_id": texts | st.just("thread_1"),
        "run_id": texts | st.just("run_1"),
        **dict.fromkeys(("object", "assistant_id", "type"), texts),
        "status": st.sampled_from(["completed", "expired"]),
        **dict.fromkeys(("created_at", "completed_at", "cancelled_at", "expired_at", "expires_at", "failed_at"), times),
        "last_error": errors,
        "step_details": details,
        "usage": usages,
        "metadata": simple_json,
    }
)
runs = records(
    {
        "id": st.sampled_from(["run_1", "run_2", "run/\u00e9"]),
        "thread_id": texts | st.just("thread_1"),
        **dict.fromkeys(("object", "assistant_id", "status", "model", "instructions", "service_tier"), texts),
        **dict.fromkeys(("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"), times),
        "last_error": errors,
        "incomplete_details": records({"reason": texts}),
        "usage": usages,
        **dict.fromkeys(("tools", "metadata", "tool_choice"), simple_json),
        "temperature": odd,
    }
)


def pages_of(items: st.SearchStrategy[Json]) -> st.SearchStrategy[list[bytes]]:
    """Up to three pages of up to four of these items, or of anything."""
    return st.lists(st.lists(mostly(items), max_size=4).map(_page_of), min_size=1, max_size=3)


def _page_of(data: list[Any]) -> bytes:
    return json.dumps({"object": "list", "data": data}, ensure_ascii=False, separators=(",", ":")).encode()
