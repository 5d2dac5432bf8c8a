"""Responses, turns and their items as servers answer them, and walks over them as if they had landed."""

import json
from collections.abc import Sequence
from typing import Any

from pipeline.protocol.pages import Certificate, LandedWalk, Page, Protocol, Verdict
from tests.landed import NOON, Json

MADE_AT = 1_795_953_600  # 2026-11-29 12:00 UTC


def usage_of(fresh: int = 1000, out: int = 200, *, cached: int = 400, written: int | None = None) -> Json:
    """Tokens of a response: `fresh` input, of which `cached` were read from the cache and `written` to it."""
    details: Json = {"cached_tokens": cached} | ({} if written is None else {"cache_write_tokens": written})
    return {
        "input_tokens": fresh,
        "input_tokens_details": details,
        "output_tokens": out,
        "output_tokens_details": {"reasoning_tokens": out // 4},
        "total_tokens": fresh + out,
    }


def response(*output: Json, response_id: str = "resp_a", **fields: Any) -> Json:
    """A completed response of a conversation, with this output."""
    answered = {
        "id": response_id,
        "object": "response",
        "created_at": float(MADE_AT),
        "completed_at": float(MADE_AT + 6),
        "status": "completed",
        "model": "gpt-5.4",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "conversation": {"id": "conv_a"},
        "service_tier": "default",
        "usage": usage_of(),
        "metadata": {"team": "north"},
    }
    return answered | fields


def turn(turn_id: str = "turn_a", **fields: Any) -> Json:
    """A completed turn of a session."""
    taken = {
        "id": turn_id,
        "object": "agent.session.turn",
        "session_id": "sess_a",
        "agent_id": "agent_a",
        "subagent_id": None,
        "status": "completed",
        "created_at": MADE_AT,
        "started_at": MADE_AT + 1,
        "completed_at": MADE_AT + 9,
        "error": None,
        "usage": usage_of(),
    }
    return taken | fields


def session(model: str = "gpt-5.4", **fields: Any) -> Json:
    """The session of these turns, whose agent has a model."""
    agent = {"id": "agent_a", "model": model, "service_tier": "auto", "tools": []}
    return {"id": "sess_a", "object": "agent.session", "created_at": MADE_AT, "status": "idle", "agent": agent} | fields


def called(call_id: str = "call_a", **fields: Any) -> Json:
    """A function that was called."""
    arguments = json.dumps({"town": "Oslo"})
    call = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": "tide", "arguments": arguments}
    return call | {"status": "completed"} | fields


def answered(call_id: str = "call_a", output: Any = "high at noon", **fields: Any) -> Json:
    """What a function answered, as an item of a later input."""
    return {"type": "function_call_output", "id": f"fco_{call_id}", "call_id": call_id, "output": output} | fields


def listed(*items: Json, **fields: Any) -> Json:
    """A list as the API answers it."""
    return {"object": "list", "data": list(items), "has_more": False} | fields


def landed_answers(
    *bodies: Json,
    thread_id: str = "conv_a",
    protocol: Protocol = "responses",
    verdict: Verdict = "complete",
    walk_id: str = "walk_1",
    **fields: Any,
) -> LandedWalk:
    """A walk whose pages are these answers."""
    certificate = Certificate(
        resource="runs",
        thread_id=thread_id,
        started_at=NOON,
        ended_at=NOON,
        verdict=verdict,
        protocol=protocol,
        pages=len(bodies),
        **fields,
    )
    pages = [
        Page(index, None, NOON, None, json.dumps(body, separators=(",", ":")).encode())
        for index, body in enumerate(bodies)
    ]
    return LandedWalk("main", "sync_1", walk_id, "part_1", certificate, pages)


def landed_turns(*bodies: Json, items: Sequence[Json] = (), **fields: Any) -> LandedWalk:
    """A walk over turns with their session and the list of their items."""
    pages = [*bodies, *([listed(*items)] if items else [])]
    return landed_answers(*pages, thread_id="sess_a", protocol="agents", **fields)
