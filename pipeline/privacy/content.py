"""Content-free mode: what stays of runs and steps is listed here; of everything else only a keyed hash and its size.

What stays: ids (of files too), types, states, instants, the model, usage, error codes, scores, names of tools and of
their servers, and the names of all fields, of which keys of metadata are some.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from pipeline.privacy.hiding import (
    UNREADABLE,
    ContentKey,
    Rule,
    call_of,
    hide_log,
    hide_output,
    hide_text,
    hide_unknown,
    hide_value,
    holding_json,
    is_hidden,
    keep_figures,
    keep_instant,
    keep_name,
    list_of,
    object_of,
    quoted,
    rewritten,
)
from pipeline.protocol.pages import Page, Resource, Walk

FULL, HASHED = "full", "hashed"


def hiding_with(key: ContentKey | None) -> Callable[[Walk], Walk] | None:
    """What a writer of parts does to each walk; None without a key."""
    return None if key is None else partial(hide_walk, key=key)


def content_notes(key: ContentKey | None) -> dict[str, Any]:
    """How contents are kept, in the words of a sync's summary."""
    return {"content": HASHED if key else FULL, "content_key": key.fingerprint if key else None}


def hide_walk(walk: Walk, key: ContentKey) -> Walk:
    """The walk with the contents of its pages hidden; its certificate never has any."""
    resource = walk.certificate.resource
    return replace(walk, pages=[_hide_page(page, resource, key) for page in walk.pages])


def hide_list(body: bytes, resource: Resource, key: ContentKey) -> bytes:
    """A list of runs or steps with their contents hidden; a body that is no JSON object is hidden whole."""
    return _hide(body, _LISTS[resource], key)


def hide_object(body: bytes, resource: Resource, key: ContentKey) -> bytes:
    """One run or step with its contents hidden."""
    return _hide(body, _ITEMS[resource], key)


def _hide_page(page: Page, resource: Resource, key: ContentKey) -> Page:
    return replace(page, body=hide_list(page.body, resource, key))


def _hide(body: bytes, rule: Rule, key: ContentKey) -> bytes:
    text = body.strip()
    if text.startswith(b"{"):
        try:
            return rule(key, text).encode()
        except UNREADABLE:
            pass
    whole = body.decode("utf-8", errors="replace")
    inner = whole.removeprefix('"').removesuffix('"')
    return quoted(key.hide(inner if is_hidden(inner) else whole)).encode()


def _names(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, keep_name)


_METADATA = object_of({}, other=hide_value)
_NESTED_CALL = object_of(
    {
        **_names("name", "server_label", "thread_id", "run_id", "assistant_id"),
        "arguments": hide_value,
        "input": hide_value,
        "output": hide_output,
    }
)
_CODE_OUTPUT = object_of({**_names("type"), "logs": hide_log, "image": object_of(_names("file_id"))})
_FOUND_FILE = object_of(
    {
        **_names("file_id"),
        "file_name": hide_text,
        "content": list_of(object_of({**_names("type"), "text": hide_text})),
        "attributes": _METADATA,
    }
)
_FILE_SEARCH = object_of({"ranking_options": object_of(_names("ranker")), "results": list_of(_FOUND_FILE)})
_CALL = call_of(
    {
        **_names("id", "type", "name", "server_label"),
        "arguments": hide_value,
        "output": hide_output,
        "function": object_of({**_names("name"), "arguments": rewritten(hide_value), "output": rewritten(hide_output)}),
        "code_interpreter": object_of({"input": hide_text, "outputs": list_of(_CODE_OUTPUT)}),
        # Some servers send a list in its place.
        "file_search": list_of(hide_unknown, other=_FILE_SEARCH),
        **dict.fromkeys(
            (
                "retrieval",
                "bing_grounding",
                "bing_custom_search",
                "azure_ai_search",
                "azure_function",
                "browser_automation",
                "computer_use_preview",
                "connected_agent",
                "deep_research",
                "fabric_dataagent",
                "openapi",
                "sharepoint_grounding",
            ),
            _NESTED_CALL,
        ),
    },
    _NESTED_CALL,
)
_STEP_DETAILS = object_of(
    {
        **_names("type"),
        "message_creation": object_of(_names("message_id")),
        "tool_calls": list_of(_CALL),
        "activities": list_of(object_of({**_names("id", "type", "server_label"), "tools": object_of({})})),
    }
)
_COMMON: dict[str, Rule] = {
    **_names("id", "object", "assistant_id", "thread_id", "run_id", "type", "status"),
    **dict.fromkeys(
        (
            "created_at",
            "started_at",
            "completed_at",
            "cancelled_at",
            "failed_at",
            "expires_at",
            "expired_at",
        ),
        keep_instant,
    ),
    "last_error": holding_json(object_of({**_names("code"), "message": hide_text})),
    "usage": holding_json(keep_figures),
    "metadata": _METADATA,
}
_TOOL = object_of({**_names("type"), "function": object_of(_names("name"))}, text=keep_name)
_WAITING = object_of({"tool_calls": list_of(_CALL)})
_RUN = object_of(
    {
        **_COMMON,
        **_names("model", "reasoning_effort"),
        "instructions": hide_text,
        "incomplete_details": holding_json(object_of(_names("reason"))),
        "tools": list_of(_TOOL),
        "tool_choice": _TOOL,
        "required_action": object_of(
            {**_names("type"), "submit_tool_outputs": _WAITING, "submit_tool_approval": _WAITING}
        ),
        "truncation_strategy": object_of(_names("type"), text=keep_name),
        "response_format": object_of(_names("type"), text=keep_name),
        "tool_resources": object_of(
            {
                "code_interpreter": object_of({"file_ids": list_of(keep_name)}),
                "file_search": object_of({"vector_store_ids": list_of(keep_name)}),
            }
        ),
        "file_ids": list_of(keep_name),
    }
)
_ITEMS: dict[Resource, Rule] = {
    "runs": _RUN,
    "steps": object_of({**_COMMON, "step_details": holding_json(_STEP_DETAILS)}),
}
_LISTS: dict[Resource, Rule] = {
    resource: object_of({**_names("object", "first_id", "last_id"), "data": list_of(item)})
    for resource, item in _ITEMS.items()
}
