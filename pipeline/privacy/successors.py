"""What stays of responses, turns, sessions and items in content-free mode; each object tells which rule is its own.

The same as of runs and steps: ids, instants, the model, the tier, usage, names of tools, published types and states.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from pipeline.privacy.hiding import (
    UNREADABLE,
    ContentKey,
    Rule,
    hide_log,
    hide_output,
    hide_text,
    hide_value,
    keep_figures,
    keep_instant,
    keep_key,
    keep_name,
    keep_word,
    list_of,
    object_of,
)
from pipeline.protocol.successors import CONVERSATION, RESPONSE, SESSION, SUBAGENT, TURN, text_field

_LONGEST_KEY = 64


def _named(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, keep_name)


def _word(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, keep_word)


def _output(key: ContentKey, raw: bytes) -> str:
    """What a tool answered: of a list of parts, as shells answer, how each ended stays."""
    return (_PARTS if raw.startswith(b"[") else hide_output)(key, raw)


_METADATA = object_of({}, other=hide_value, named=lambda name: len(name) <= _LONGEST_KEY)
_AGENT = object_of({**_word("type"), **_named("id", "name", "version", "model", "service_tier")})
_PARTS = list_of(object_of({**_word("type"), "outcome": object_of(_word("type"))}))
_HIT = object_of({**_named("file_id"), "filename": hide_text, "text": hide_text, "attributes": _METADATA})
_ITEM = object_of(
    {
        **_word("type", "status", "role", "phase", "execution"),
        **_named(
            "id", "call_id", "name", "server_label", "response_id", "turn_id", "container_id", "approval_request_id",
            "request_id", "agent_id", "recipient_agent_id", "sender_agent_id", "model", "title", "kind", "action_id",
            "parent_action_id", "previous_action_id", "namespace", "size", "quality", "output_format",
        ),
        "recipient_agent_ids": list_of(keep_name),
        "arguments": hide_value,
        "input": hide_value,
        "code": hide_text,
        "queries": hide_value,
        "action": object_of(_word("type")),
        "operation": object_of(_word("type")),
        "output": _output,
        "error": hide_value,
        "outputs": list_of(object_of({**_word("type"), **_named("file_id"), "logs": hide_log})),
        "results": list_of(_HIT),
        "environment": object_of({**_word("type"), **_named("container_id")}),
        "caller": object_of({**_word("type"), **_named("caller_id")}),
        "agent_reference": _AGENT,
        "created_by": object_of({"agent": _AGENT, **_named("response_id")}),
    }
)  # fmt: skip
_COMMON: dict[str, Rule] = {
    "id": keep_key,
    **_word("object", "status"),
    **dict.fromkeys(
        ("created_at", "started_at", "completed_at", "last_active_at", "opened_at", "closed_at"), keep_instant
    ),
    "error": object_of({**_word("code", "type"), "message": hide_text}, text=hide_text),
    "usage": keep_figures,
    "metadata": _METADATA,
    **_named("service_tier", "session_id", "agent_id", "subagent_id"),
}
_RESPONSE = object_of(
    {
        **_COMMON,
        **_named("model", "previous_response_id", "response_id", "agent_session_id"),
        **_word("truncation", "type"),
        "conversation": object_of(_named("id"), text=keep_name),
        "agent_reference": _AGENT,
        "agent": _AGENT,
        "incomplete_details": object_of(_word("reason")),
        "instructions": hide_text,
        "tool_usage": keep_figures,
        "tools": list_of(
            object_of(
                {
                    **_word("type"),
                    **_named("name", "server_label"),
                    "container": object_of({**_word("type"), **_named("memory_limit")}, text=keep_name),
                }
            )
        ),
        "tool_choice": object_of({**_word("type"), **_named("name")}, text=keep_word),
        "reasoning": object_of(_word("effort", "summary")),
        "text": object_of({**_word("verbosity"), "format": object_of(_word("type"))}),
        "output": list_of(_ITEM),
    }
)
_BATCH_LINE = object_of(
    {
        **_named("id", "custom_id"),
        "response": object_of({**_named("request_id"), "body": _RESPONSE}),
        "error": object_of({**_word("code"), "message": hide_text}),
    }
)
_RULES = {
    RESPONSE: _RESPONSE,
    TURN: object_of(_COMMON),
    SESSION: object_of({**_COMMON, "agent": _AGENT}),
    CONVERSATION: object_of(_COMMON),
    SUBAGENT: object_of({**_COMMON, **_named("parent_agent_id", "name")}),
}


def rule_of(raw: bytes) -> Rule | None:
    """The rule of a response, a turn or what stands beside them; None for anything else."""
    if not raw.startswith(b"{"):
        return None
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
    except UNREADABLE:
        return None
    kind = text_field(fields.get("object"))
    if kind is not None:
        return _RULES.get(kind)
    if "custom_id" in fields and "response" in fields:
        return _BATCH_LINE
    return _bare_rule(fields)


def _bare_rule(fields: Mapping[str, Raw]) -> Rule | None:
    """Of what does not say what object it is: an item has a type, a response an output; a run has neither."""
    if "thread_id" in fields or "assistant_id" in fields:
        return None
    if "type" in fields:
        return _ITEM
    return _RESPONSE if bytes(fields.get("output", b"")).startswith(b"[") else None
