"""Content-free mode: what stays of runs and steps is listed here; of everything else only a keyed hash and its size.

What stays: ids (of files too), instants, the model, usage, scores, names of tools and of their servers, and keys of
metadata; types, states, error codes and names of fields where the protocol publishes them. Anything else may be words.
"""

import dataclasses
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
    keep_key,
    keep_name,
    keep_word,
    list_of,
    object_of,
    quoted,
    rewritten,
)
from pipeline.privacy.successors import rule_of
from pipeline.protocol.pages import Certificate, Page, Resource, Walk
from pipeline.protocol.words import is_id, is_word

FULL, HASHED = "full", "hashed"
_LONGEST_KEY = 64


def hiding_with(key: ContentKey | None) -> Callable[[Walk], Walk] | None:
    """What a writer of parts does to each walk; None without a key."""
    return None if key is None else partial(hide_walk, key=key)


def content_notes(key: ContentKey | None) -> dict[str, Any]:
    """How contents are kept, in the words of a sync's summary."""
    return {"content": HASHED if key else FULL, "content_key": key.fingerprint if key else None}


def hide_walk(walk: Walk, key: ContentKey) -> Walk:
    """The walk with the contents of its pages hidden, and what a server may have put beside them."""
    certificate = walk.certificate
    asked = asking(key, certificate.thread_id, certificate.run_id)
    pages = [_hide_page(page, certificate, asked) for page in walk.pages]
    return replace(walk, certificate=hide_certificate(certificate, key), pages=pages)


def asking(key: ContentKey, *ids: str | None) -> ContentKey:
    """The key that lets ids stay that were asked for, whatever they look like."""
    return dataclasses.replace(key, asked=frozenset(value for value in ids if value))


def hide_certificate(certificate: Certificate, key: ContentKey) -> Certificate:
    """How a walk went, without a status that nobody published."""
    status = certificate.run_status
    return replace(certificate, run_status=status and key.hide_unless(status, known=is_word(status)))


def hide_id(text: str | None, key: ContentKey) -> str | None:
    """What a server gave for an id of an answer or a place in a list, if it looks like one."""
    return text and key.hide_unless(text, known=is_id(text))


def hide_list(body: bytes, resource: Resource, key: ContentKey) -> bytes:
    """A list of runs or steps, or one response or turn, with their contents hidden; what is no JSON object is hidden
    whole.
    """
    own = rule_of(body.strip()) if resource == "runs" else None
    return _hide(body, own or _LISTS[resource], key)


def hide_object(body: bytes, resource: Resource, key: ContentKey) -> bytes:
    """One run or step with its contents hidden."""
    return _hide(body, _ITEMS[resource], key)


def _hide_page(page: Page, certificate: Certificate, key: ContentKey) -> Page:
    return replace(
        page,
        origin=page.origin if certificate.verdict == "imported" else hide_id(page.origin, key),
        cursor=hide_id(page.cursor, key),
        request_id=hide_id(page.request_id, key),
        body=hide_list(page.body, certificate.resource, key),
    )


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


def _words(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, keep_word)


# By the protocol a key has 64 signs at most: what is longer is a text.
_METADATA = object_of({}, other=hide_value, named=lambda name: len(name) <= _LONGEST_KEY)
_NESTED_CALL = object_of(
    {
        **_names("name", "server_label", "thread_id", "run_id", "assistant_id"),
        "arguments": hide_value,
        "input": hide_value,
        "output": hide_output,
    }
)
_CODE_OUTPUT = object_of({**_words("type"), "logs": hide_log, "image": object_of(_names("file_id"))})
_FOUND_FILE = object_of(
    {
        **_names("file_id"),
        "file_name": hide_text,
        "content": list_of(object_of({**_words("type"), "text": hide_text})),
        "attributes": _METADATA,
    }
)
_FILE_SEARCH = object_of({"ranking_options": object_of(_words("ranker")), "results": list_of(_FOUND_FILE)})
_CALL = call_of(
    {
        **_names("id", "name", "server_label"),
        **_words("type"),
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
_ACTIVITY = object_of({**_names("id", "server_label"), **_words("type"), "tools": object_of({}, named=is_id)})
_STEP_DETAILS = object_of(
    {
        **_words("type"),
        "message_creation": object_of(_names("message_id")),
        "tool_calls": list_of(_CALL),
        "activities": list_of(_ACTIVITY),
    }
)
_COMMON: dict[str, Rule] = {
    "id": keep_key,
    **_names("assistant_id", "thread_id", "run_id"),
    **_words("object", "type", "status"),
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
    "last_error": holding_json(object_of({**_words("code"), "message": hide_text})),
    "usage": holding_json(keep_figures),
    "metadata": _METADATA,
}
_TOOL = object_of({**_words("type"), "function": object_of(_names("name"))}, text=keep_word)
_WAITING = object_of({"tool_calls": list_of(_CALL)})
_RUN = object_of(
    {
        **_COMMON,
        **_names("model"),
        **_words("reasoning_effort", "service_tier"),
        "instructions": hide_text,
        "incomplete_details": holding_json(object_of(_words("reason"))),
        "tools": list_of(_TOOL),
        "tool_choice": _TOOL,
        "required_action": object_of(
            {**_words("type"), "submit_tool_outputs": _WAITING, "submit_tool_approval": _WAITING}
        ),
        "truncation_strategy": object_of(_words("type"), text=keep_word),
        "response_format": object_of(_words("type"), text=keep_word),
        "tool_resources": object_of(
            {
                "code_interpreter": object_of({"file_ids": list_of(keep_name)}),
                "file_search": object_of({"vector_store_ids": list_of(keep_name)}),
            }
        ),
        "file_ids": list_of(keep_name),
    }
)


def _any_run(key: ContentKey, raw: bytes) -> str:
    """A run, or a response or a turn or what stands beside them: lists of runs may hold either."""
    return (rule_of(raw) or _RUN)(key, raw)


_ITEMS: dict[Resource, Rule] = {
    "runs": _any_run,
    "steps": object_of({**_COMMON, "step_details": holding_json(_STEP_DETAILS)}),
}
_LISTS: dict[Resource, Rule] = {
    resource: object_of({**_words("object"), **_names("first_id", "last_id"), "data": list_of(item)})
    for resource, item in _ITEMS.items()
}
