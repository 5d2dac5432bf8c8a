"""Fault rules: which requests go wrong, when, and with what parameters."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.emulator.exchange import Exchange

SUCCESSOR_ROUTES: Final = (
    "list_conversations", "get_conversation", "list_conversation_items", "list_responses", "get_response",
    "list_input_items", "list_sessions", "get_session", "list_turns", "get_turn", "list_turn_items", "list_subagents",
)  # fmt: skip
ROUTES: Final = (
    "list_threads", "get_thread", "list_runs", "get_run", "list_steps", "get_step", *SUCCESSOR_ROUTES, "*",
)  # fmt: skip
_RULE_KEYS: Final = frozenset({"route", "match", "after_requests", "times", "fault"})
_MATCH_KEYS: Final = frozenset({"thread_id", "run_id"})


@dataclass(frozen=True, slots=True)
class FaultShape:
    """The parameters that a fault takes: their defaults (None accepts any value) and fixed choices."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(slots=True)
class FaultRule:
    """One rule; `seen` counts requests that it matched, `struck` answers that it changed; the last two are a bucket."""

    fault: str
    parameters: Mapping[str, Any]
    route: str = "*"
    thread_id: str | None = None
    run_id: str | None = None
    after_requests: int = 0
    times: int | None = None
    seen: int = 0
    struck: int = 0
    tokens: float | None = None
    filled_at_s: float = 0.0


def read_rule(value: object, shapes: Mapping[str, FaultShape]) -> FaultRule:
    """A rule from its JSON value; a ValueError says what is wrong with it."""
    if not isinstance(value, dict):
        raise ValueError(f"A rule must be an object, not {type(value).__name__}.")
    fault = value.get("fault")
    if not isinstance(fault, str) or fault not in shapes:
        raise ValueError(f"Unknown fault {fault!r}; there are: {', '.join(sorted(shapes))}.")
    route = value.get("route", "*")
    if route not in ROUTES:
        raise ValueError(f"Unknown route {route!r}; there are: {', '.join(ROUTES)}.")
    match = value.get("match") or {}
    if not isinstance(match, dict) or not match.keys() <= _MATCH_KEYS:
        raise ValueError("'match' must be an object with thread_id, run_id or both.")
    given = {key: value[key] for key in value if key not in _RULE_KEYS}
    return FaultRule(
        fault,
        _read_parameters(fault, given, shapes[fault]),
        route=route,
        thread_id=match.get("thread_id"),
        run_id=match.get("run_id"),
        after_requests=_read_count(value, "after_requests") or 0,
        times=_read_count(value, "times"),
    )


def _read_count(value: Mapping[str, Any], name: str) -> int | None:
    count = value.get(name)
    if count is None:
        return None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ValueError(f"'{name}' must be a count or null, not {count!r}.")
    return count


def _read_parameters(fault: str, given: Mapping[str, Any], shape: FaultShape) -> Mapping[str, Any]:
    for name, value in given.items():
        if name not in shape.defaults:
            known = ", ".join(sorted(shape.defaults)) or "none"
            raise ValueError(f"Fault '{fault}' has no parameter '{name}'; it takes: {known}.")
        choices = shape.choices.get(name)
        if choices is not None and value not in choices:
            raise ValueError(f"'{name}' of fault '{fault}' must be one of {', '.join(choices)}, not {value!r}.")
        if not _is_like(value, shape.defaults[name]):
            kind = type(shape.defaults[name]).__name__
            raise ValueError(f"'{name}' of fault '{fault}' must be of type {kind}, not {value!r}.")
    return {**shape.defaults, **given}


def _is_like(value: object, default: object) -> bool:
    if default is None:
        return True
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def match_rule(rule: FaultRule, exchange: Exchange) -> bool:
    """Whether the rule strikes this request; a request that it matches is counted."""
    if rule.route not in ("*", exchange.route):
        return False
    if rule.thread_id is not None and rule.thread_id != exchange.thread_id:
        return False
    if rule.run_id is not None and rule.run_id != exchange.run_id:
        return False
    rule.seen += 1
    turn = rule.seen - rule.after_requests
    return turn > 0 and (rule.times is None or turn <= rule.times)
