"""Runs and their steps as the JSON objects that a server would send, from a plan of what happened."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.emulator.account.assistants import Assistant, UsageStyle, choose_model
from pipeline.emulator.account.hosted_calls import make_activity
from pipeline.emulator.account.texts import make_id
from pipeline.emulator.account.tool_calls import JsonObject

# Models whose input is cached at a discount from about 1,024 tokens on, in blocks of 128.
_CACHING_MODELS: Final = frozenset({"gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3-mini"})
_REASONING_MODELS: Final = frozenset({"o3-mini"})
_RUN_LIFETIME_S: Final = 600
# The server cuts older messages off from here on.
_WINDOW_TOKENS: Final = 24_000
_QUOTA_MESSAGE: Final = "You exceeded your current quota, please check your plan and billing details."
_ERROR_MESSAGES: Final = {
    "server_error": "Sorry, something went wrong.",
    "rate_limit_exceeded": _QUOTA_MESSAGE,
    "invalid_prompt": "The prompt was flagged as violating the usage policy.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What happened in one run. `documented_wire` means the fields of the published description."""

    thread_id: str
    assistant: Assistant
    created_at: int
    details: Sequence[JsonObject]
    metadata: JsonObject
    status: str = "completed"
    error_code: str = "server_error"
    run_id: str | None = None
    model: str | None = None
    usage_style: UsageStyle | None = None
    pace_s: int = 14
    documented_wire: bool = False


@dataclass(slots=True)
class RunDraft:
    """A run and its steps, oldest first, before they are encoded."""

    run: JsonObject
    steps: list[JsonObject]


def message_details(rng: random.Random) -> JsonObject:
    """The details of a step that wrote a message."""
    return {"type": "message_creation", "message_creation": {"message_id": make_id(rng, "msg_")}}


def tool_details(calls: Sequence[JsonObject]) -> JsonObject:
    """The details of a step that called tools."""
    return {"type": "tool_calls", "tool_calls": list(calls)}


def activity_details(rng: random.Random) -> JsonObject:
    """The details of a step that listed the tools of an MCP server."""
    return {"type": "activities", "activities": [make_activity(rng)]}


def build_run(rng: random.Random, plan: RunPlan) -> RunDraft:
    """The run and its steps; its usage is the sum of theirs."""
    run_id = plan.run_id or make_id(rng, "run_")
    model = plan.model or choose_model(plan.assistant, plan.created_at)
    steps = _build_steps(rng, plan, run_id, model)
    if steps:
        _end_last_step(steps[-1], plan)
    return RunDraft(_build_run_object(plan, run_id, model, steps), steps)


def _build_steps(rng: random.Random, plan: RunPlan, run_id: str, model: str) -> list[JsonObject]:
    steps = []
    instant = plan.created_at + (rng.randint(1, 3) if plan.pace_s else 0)
    context_tokens = plan.assistant.context_tokens + rng.randrange(plan.assistant.context_tokens)
    for index, details in enumerate(plan.details):
        begins = instant
        # Steps of one second sit on the borders of pages on purpose.
        instant += 0 if index % 20 in (18, 19) else rng.randint(0, plan.pace_s)
        step = _make_step(plan, run_id, details, (begins, instant))
        step["id"] = make_id(rng, "step_")
        if (style := plan.usage_style or plan.assistant.usage_style) != "absent":
            active = details["type"] != "activities"
            step["usage"] = _make_usage(rng, style, model, context_tokens if active else 0)
        context_tokens = min(context_tokens + rng.randint(40, 700), _WINDOW_TOKENS)
        steps.append(step)
    return steps


def _make_step(plan: RunPlan, run_id: str, details: JsonObject, span: tuple[int, int]) -> JsonObject:
    step: JsonObject = {
        "id": "",
        "object": "thread.run.step",
        "created_at": span[0],
        "run_id": run_id,
        "assistant_id": plan.assistant.assistant_id,
        "thread_id": plan.thread_id,
        "type": details["type"],
        "status": "completed",
        "cancelled_at": None,
        "completed_at": span[1],
        "expired_at" if plan.documented_wire else "expires_at": None,
        "failed_at": None,
        "last_error": None,
        "step_details": details,
    }
    if plan.documented_wire:
        step["metadata"] = {}
    return step


def _make_usage(rng: random.Random, style: UsageStyle, model: str, prompt_tokens: int) -> JsonObject:
    completion = int(rng.lognormvariate(4.4, 0.8)) + 5 if prompt_tokens else 0
    reasoning = 64 * rng.randint(1, 30) if prompt_tokens and model in _REASONING_MODELS else 0
    cached = 0
    if model in _CACHING_MODELS and prompt_tokens >= 1024 and rng.random() < 0.6:
        cached = int(prompt_tokens * rng.uniform(0.4, 0.95)) // 128 * 128
    completion += reasoning
    usage: JsonObject = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": prompt_tokens + completion,
    }
    if style in ("full", "prompt_only"):
        usage["prompt_token_details"] = {"cached_tokens": cached}
    if style == "full":
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


def _end_last_step(step: JsonObject, plan: RunPlan) -> None:
    ended_at = step["completed_at"]
    if plan.status in ("completed", "incomplete"):
        return
    step["status"] = plan.status
    step["completed_at"] = None
    if plan.status == "failed":
        step["failed_at"] = ended_at
        step["last_error"] = {"code": plan.error_code, "message": _ERROR_MESSAGES[plan.error_code]}
    elif plan.status == "cancelled":
        step["cancelled_at"] = ended_at
    elif plan.status == "expired":
        step["expired_at" if plan.documented_wire else "expires_at"] = ended_at
        if "usage" in step:
            step["usage"] = None


def _build_run_object(plan: RunPlan, run_id: str, model: str, steps: list[JsonObject]) -> JsonObject:
    ended_at = _find_end(plan, steps)
    style = plan.usage_style or plan.assistant.usage_style
    run: JsonObject = {
        "id": run_id,
        "object": "thread.run",
        "created_at": plan.created_at,
        "assistant_id": plan.assistant.assistant_id,
        "thread_id": plan.thread_id,
        "status": plan.status,
        "started_at": _find_start(steps),
        "expires_at": plan.created_at + _RUN_LIFETIME_S if plan.status == "expired" else None,
        "cancelled_at": ended_at if plan.status == "cancelled" else None,
        "failed_at": ended_at if plan.status == "failed" else None,
        "completed_at": ended_at if plan.status in ("completed", "incomplete") else None,
        "required_action": None,
        "last_error": None,
        "model": model,
        "instructions": plan.assistant.instructions,
        "tools": plan.assistant.tools,
        "metadata": plan.metadata,
    }
    if plan.status == "failed":
        run["last_error"] = {"code": plan.error_code, "message": _ERROR_MESSAGES[plan.error_code]}
    if style == "absent":
        return run | {"file_ids": []}
    limited = plan.status == "incomplete"
    return run | {
        "tool_resources": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning_effort": "medium" if model in _REASONING_MODELS else None,
        "max_completion_tokens": 1000 if limited else None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": {"reason": "max_completion_tokens"} if limited else None,
        "usage": _sum_usage(steps, style),
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }


def _find_end(plan: RunPlan, steps: list[JsonObject]) -> int:
    if not steps:
        return plan.created_at
    last = steps[-1]
    return int(last["completed_at"] or last["failed_at"] or last["cancelled_at"] or last["created_at"])


def _find_start(steps: list[JsonObject]) -> int | None:
    if not steps:
        return None
    started_at: int = steps[0]["created_at"]
    for step in steps:
        calls = step["step_details"].get("tool_calls", ())
        # The server overwrites started_at when a run resumes with the outputs of its functions.
        if step["completed_at"] and any(call["type"] == "function" for call in calls):
            started_at = step["completed_at"]
    return started_at


def _sum_usage(steps: list[JsonObject], style: UsageStyle) -> JsonObject:
    usages = [step["usage"] for step in steps if step["usage"] is not None]
    total: JsonObject = {
        name: sum(usage[name] for usage in usages) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    if style in ("full", "prompt_only"):
        cached = sum(usage["prompt_token_details"]["cached_tokens"] for usage in usages)
        total["prompt_token_details"] = {"cached_tokens": cached}
    if style == "full":
        reasoning = sum(usage["completion_tokens_details"]["reasoning_tokens"] for usage in usages)
        total["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return total


def reopen_run(draft: RunDraft, *, status: str, keep: int) -> RunDraft:
    """The same run seen earlier: still open, with its first `keep` steps, the last of them in progress."""
    steps = list(draft.steps[:keep])
    run = draft.run | {
        "status": status,
        "completed_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "last_error": None,
        "started_at": _find_start(steps[:-1]) or (steps[0]["created_at"] if steps else None),
        "expires_at": draft.run["created_at"] + _RUN_LIFETIME_S,
    }
    if "usage" in run:
        run |= {"usage": None, "incomplete_details": None}
    if steps:
        steps[-1] = _reopen_step(steps[-1], status)
    if status == "requires_action":
        run["required_action"] = _require_action(steps[-1])
    return RunDraft(run, steps)


def _reopen_step(step: JsonObject, status: str) -> JsonObject:
    details = step["step_details"]
    if details["type"] == "tool_calls" and status == "in_progress":
        details = tool_details([])
    elif details["type"] == "tool_calls" and status == "requires_action":
        details = tool_details([_unanswered(call) for call in details["tool_calls"]])
    opened = step | {
        "status": "in_progress",
        "completed_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "last_error": None,
        "step_details": details,
    }
    if "expires_at" in opened:
        opened["expires_at"] = step["created_at"] + _RUN_LIFETIME_S
    if "usage" in opened:
        opened["usage"] = None
    return opened


def _unanswered(call: JsonObject) -> JsonObject:
    if call["type"] != "function":
        return call
    return call | {"function": call["function"] | {"output": None}}


def _require_action(step: JsonObject) -> JsonObject:
    calls = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["function"]["name"], "arguments": call["function"]["arguments"]},
        }
        for call in step["step_details"]["tool_calls"]
        if call["type"] == "function"
    ]
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
