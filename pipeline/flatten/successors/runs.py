"""A response or a turn as a run with its one step, in the structs that runs and steps of assistants have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import msgspec
from msgspec import Raw, UnsetType
from msgspec.structs import astuple

from pipeline.flatten.successors.calls import CallRow
from pipeline.flatten.successors.capping import capped
from pipeline.flatten.successors.joining import Item, Joined
from pipeline.protocol.json_text import join_fields, text_of
from pipeline.protocol.successors import RESPONSE_EXTRA_FIELDS, ItemsUsage, Response, Turn, conversation_of, text_field
from pipeline.protocol.wire import (
    CachedTokens,
    Free,
    LastError,
    MessageCreation,
    ReasoningTokens,
    Run,
    Step,
    StepDetails,
    ToolCall,
    Usage,
)

_FIRST_EXTRA = Response.__struct_fields__.index(RESPONSE_EXTRA_FIELDS[0])
_EXTRA = slice(_FIRST_EXTRA, _FIRST_EXTRA + len(RESPONSE_EXTRA_FIELDS))
_NULL = b"null"


@dataclass(frozen=True, slots=True)
class Facts:
    """Columns of a run that assistants have nothing for, and what its line of a batch says beside it."""

    protocol: str
    thread_id: str | None
    previous_run_id: str | None = None
    subagent_id: str | None = None
    service_tier: str | None = None
    is_batch: bool | None = None
    cache_write_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class OneStep:
    """A run, its step and the calls of that."""

    run: Run
    step: Step
    facts: Facts
    calls: Sequence[CallRow]


def run_of_response(response: Response, *, run_id: str, batch: dict[str, Raw] | None) -> tuple[Run, Facts]:
    """The run that a response is; `batch` is what the line of a batch output says beside it."""
    extra = _extra_of(response)
    if run_id != response.id:
        extra["id"] = _text(response.id)
    for name in ("agent_reference", "agent"):
        if _is_filled(raw := getattr(response, name)):
            extra[name] = raw
    if _is_filled(response.conversation) and conversation_of(response.conversation) is None:
        extra["conversation"] = response.conversation
    if batch is not None:
        extra["batch"] = join_fields(batch) or "{}"
    run = Run(
        id=run_id,
        object=response.object,
        assistant_id=_agent_of(response),
        status=response.status,
        created_at=response.created_at,
        completed_at=response.completed_at,
        last_error=_error_of(response.error),
        incomplete_details=response.incomplete_details,
        model=response.model,
        instructions=_instructions(response.instructions),
        usage=_usage_of(response.usage, extra),
        tools=response.tools,
        metadata=response.metadata,
        unknown=_raws(extra),
    )
    facts = Facts(
        "responses",
        conversation_of(response.conversation),
        previous_run_id=response.previous_response_id,
        service_tier=response.service_tier,
        is_batch=batch is not None or None,
        cache_write_tokens=_written(response.usage),
    )
    return run, facts


def run_of_turn(turn: Turn, *, run_id: str, session: dict[str, Raw] | None) -> tuple[Run, Facts]:
    """The run that a turn is. Its model is that of its session's agent, unless a subagent took it."""
    agent = (session or {}).get("agent")
    is_root = turn.subagent_id is None
    extra = _without_nulls(turn.unknown)
    if _is_filled(turn.prompt_cache_options):
        extra["prompt_cache_options"] = turn.prompt_cache_options
    if run_id != turn.id:
        extra["id"] = _text(turn.id)
    if is_root and (policy := text_field(agent, "service_tier")) is not None:
        # What the session asks for, not what was charged.
        extra["session_service_tier"] = _text(policy)
    run = Run(
        id=run_id,
        object=turn.object,
        assistant_id=turn.agent_id,
        status=turn.status,
        created_at=turn.created_at,
        started_at=turn.started_at,
        completed_at=turn.completed_at,
        last_error=_error_of(turn.error),
        model=text_field(agent, "model") if is_root else None,
        usage=_usage_of(turn.usage, extra),
        unknown=_raws(extra),
    )
    facts = Facts("agents", turn.session_id, subagent_id=turn.subagent_id, cache_write_tokens=_written(turn.usage))
    return run, facts


def step_of(run: Run, kind: str, joined: Joined) -> Step:
    """The one step of a run: its usage and its calls; items that are no calls are in `extra.items`."""
    messages = [item for item in joined.others if item.type == "message"]
    said = (item for item in reversed(messages) if item.text("role") != "user")
    message_id = next((own for item in said if (own := item.text("id"))), None)
    others = [_item_text(item) for item in joined.others if item.type != "message"]
    details = StepDetails(
        type="tool_calls" if joined.calls else "message_creation",
        message_creation=MessageCreation(message_id=message_id) if message_id else None,
        # How many there are; their rows are made of the items.
        tool_calls=[_NO_CALL] * len(joined.calls),
    )
    return Step(
        id=f"{run.id}#1",
        object=run.object,
        assistant_id=run.assistant_id,
        type=kind,
        status=run.status,
        created_at=run.started_at or run.created_at,
        completed_at=run.completed_at,
        last_error=run.last_error,
        usage=run.usage,
        step_details=details,
        unknown=_raws({"items": f"[{','.join(others)}]"}) if others else None,
    )


_NO_CALL = ToolCall()


def _item_text(item: Item) -> str:
    kept: dict[str, Raw | str] = {name: capped(name, raw) for name, raw in item.fields.items()}
    return join_fields(kept) or "{}"


def _extra_of(response: Response) -> dict[str, Raw | str]:
    free = zip(RESPONSE_EXTRA_FIELDS, astuple(response)[_EXTRA], strict=True)
    extra: dict[str, Raw | str] = {name: capped(name, raw) for name, raw in free if _is_filled(raw)}
    if text_field(response.response_id) == response.id:
        del extra["response_id"]
    return extra | _without_nulls(response.unknown)


def _agent_of(response: Response) -> str | None:
    """Name and version, as Foundry calls an agent's state."""
    for raw in (response.agent_reference, response.agent):
        if (name := text_field(raw, "name")) is not None:
            version = text_field(raw, "version")
            return name if version is None else f"{name}:{version}"
    return None


def _instructions(raw: Free) -> str | None:
    return text_of(capped("instructions", raw)) if _is_filled(raw) else None


def _error_of(error: LastError | str | None) -> LastError | None:
    return LastError(message=error) if isinstance(error, str) else error


def _written(usage: ItemsUsage | None) -> int | None:
    details = usage.input_tokens_details if usage else None
    return details.cache_write_tokens if details else None


def _usage_of(usage: ItemsUsage | None, extra: dict[str, Raw | str]) -> Usage | None:
    """A usage under the names that runs have; what has no column goes to `extra.usage`."""
    if usage is None:
        return None
    inputs, outputs = usage.input_tokens_details, usage.output_tokens_details
    kept: dict[str, Raw | str] = _without_nulls(usage.unknown)
    inner = _without_nulls(inputs.unknown if inputs else None)
    if inputs is not None and _is_filled(inputs.cache_write_tokens_details):
        inner["cache_write_tokens_details"] = inputs.cache_write_tokens_details
    if inner:
        kept["input_tokens_details"] = join_fields(inner) or "{}"
    if outputs is not None and (inner := _without_nulls(outputs.unknown)):
        kept["output_tokens_details"] = join_fields(inner) or "{}"
    if kept:
        extra["usage"] = join_fields(kept) or "{}"
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        prompt_token_details=CachedTokens(cached_tokens=inputs.cached_tokens) if inputs else None,
        completion_tokens_details=ReasoningTokens(reasoning_tokens=outputs.reasoning_tokens) if outputs else None,
    )


def _without_nulls(fields: dict[str, Raw] | None) -> dict[str, Raw | str]:
    return {name: raw for name, raw in (fields or {}).items() if bytes(raw) != _NULL}


def _is_filled(raw: Free) -> TypeGuard[Raw]:
    return not isinstance(raw, UnsetType) and bytes(raw) != _NULL


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _raws(extra: dict[str, Raw | str]) -> dict[str, Raw] | None:
    return {name: Raw(raw) if isinstance(raw, str) else raw for name, raw in extra.items()} or None
