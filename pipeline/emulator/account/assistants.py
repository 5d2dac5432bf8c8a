"""The assistants of the generated business: names, models, tools, and when people use them."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, Literal

from pipeline.emulator.account.texts import make_id

UsageStyle = Literal["full", "prompt_only", "plain", "absent"]

FIRST_DAY: Final = datetime(2026, 3, 1, tzinfo=UTC)
DAYS: Final = 122
LAST_SECOND: Final = int((FIRST_DAY + timedelta(days=DAYS)).timestamp()) - 1

_HOUR_WEIGHTS: Final = (1, 1, 1, 1, 1, 2, 4, 9, 16, 22, 24, 22, 17, 20, 23, 22, 18, 12, 7, 5, 4, 3, 2, 1)


@dataclass(frozen=True, slots=True)
class Assistant:
    """One assistant: what it is called, which models it ran on, and how often it uses which tool."""

    name: str
    feature: str
    models: tuple[str, ...]
    tool_weights: Mapping[str, int]
    usage_style: UsageStyle = "full"
    traffic: int = 10
    context_tokens: int = 1200
    assistant_id: str = ""

    @property
    def tools(self) -> list[dict[str, Any]]:
        """What a run says that it may call."""
        return _describe_tools(self.tool_weights)

    @property
    def instructions(self) -> str:
        """What a run was told."""
        return f"You are the {self.name}. Answer briefly, say which source you used, never guess."


_ASSISTANTS: Final = (
    Assistant(
        "Support Concierge",
        "support-chat",
        ("gpt-4o-2024-05-13", "gpt-4o"),
        {
            "function:get_order_status": 40,
            "function:lookup_customer": 25,
            "function:create_ticket": 12,
            "function:send_email": 8,
            "file_search/content": 15,
            "file_search/duplicate": 2,
            "file_search/nothing": 2,
            "function/null": 1,
        },
        traffic=34,
        context_tokens=900,
    ),
    Assistant(
        "Data Analyst",
        "self-service-analytics",
        ("gpt-4o", "gpt-4.1"),
        {
            "code_interpreter/logs": 40,
            "code_interpreter/image": 18,
            "code_interpreter/mixed": 6,
            "code_interpreter/silent": 12,
            "code_interpreter/error": 9,
            "code_interpreter/unicode": 1,
        },
        traffic=18,
        context_tokens=2400,
    ),
    Assistant(
        "Travel Planner",
        "trip-builder",
        ("gpt-4o-mini",),
        {"function:search_flights": 30, "function:book_hotel": 12, "function:get_exchange_rate": 8},
        traffic=16,
        context_tokens=700,
    ),
    Assistant(
        "Contract Reviewer",
        "contract-review",
        ("gpt-4.1",),
        {
            "file_search/content": 30,
            "file_search/attributes": 12,
            "file_search/duplicate": 6,
            "file_search/bare": 6,
            "file_search/empty_object": 1,
            "file_search/empty_array": 1,
        },
        traffic=9,
        context_tokens=5200,
    ),
    Assistant(
        "Finance Copilot",
        "month-end-close",
        ("gpt-4-1106-preview", "gpt-4-turbo"),
        {"function:run_sql": 30, "code_interpreter/logs": 14, "function/truncated": 1},
        usage_style="plain",
        traffic=6,
        context_tokens=3100,
    ),
    Assistant(
        "Legacy FAQ Bot",
        "faq",
        ("gpt-3.5-turbo-0125",),
        {"retrieval": 30, "function:lookup_customer": 5},
        usage_style="plain",
        traffic=5,
        context_tokens=600,
    ),
    Assistant(
        "Research Desk",
        "research",
        ("o3-mini",),
        {
            "bing_grounding": 20,
            "bing_custom_search": 6,
            "deep_research": 5,
            "browser_automation": 4,
            "computer_use_preview": 2,
        },
        traffic=5,
        context_tokens=1800,
    ),
    Assistant(
        "Intranet Guide",
        "intranet",
        ("gpt-35-turbo",),
        {"sharepoint_grounding": 14, "azure_ai_search": 14, "fabric_dataagent": 8},
        usage_style="prompt_only",
        traffic=6,
        context_tokens=1100,
    ),
    Assistant(
        "Operations Orchestrator",
        "operations",
        ("contoso-chat-prod",),
        {"mcp": 14, "openapi": 9, "azure_function": 6, "connected_agent": 5, "quark_search": 1},
        usage_style="prompt_only",
        traffic=5,
        context_tokens=1500,
    ),
)


def build_assistants(seed: int) -> tuple[Assistant, ...]:
    """All assistants of the business; names and tools are fixed, ids come from the seed."""
    rng = random.Random(f"{seed}:assistants")
    return tuple(replace(assistant, assistant_id=make_id(rng, "asst_")) for assistant in _ASSISTANTS)


def _describe_tools(variants: Mapping[str, int]) -> list[dict[str, Any]]:
    tools: dict[str, dict[str, Any]] = {}
    for variant in variants:
        kind, _, name = variant.partition(":")
        kind = kind.partition("/")[0]
        if name:
            parameters = {"type": "object", "properties": {}}
            tools[name] = {"type": "function", "function": {"name": name, "parameters": parameters}}
        elif kind != "function":
            tools[kind] = {"type": kind}
    return list(tools.values())


def choose_model(assistant: Assistant, created_at: int) -> str:
    """The model in use at that time: an assistant with two models changed over in the middle of the period."""
    share = (created_at - FIRST_DAY.timestamp()) / (DAYS * 86_400)
    position = int(share * len(assistant.models))
    return assistant.models[min(max(position, 0), len(assistant.models) - 1)]


class BusinessClock:
    """Draws instants at which people work: few at weekends and at night, more towards the end."""

    def __init__(self) -> None:
        weights = []
        for day in range(DAYS):
            weekend = (FIRST_DAY + timedelta(days=day)).weekday() >= 5
            level = (0.22 if weekend else 1.0) * (1.0 + day / DAYS)
            weights += [level * weight for weight in _HOUR_WEIGHTS]
        self._cumulative = list(accumulate(weights))
        self._hours = range(len(weights))

    def draw(self, rng: random.Random) -> int:
        """A unix time in seconds inside the period."""
        hour = rng.choices(self._hours, cum_weights=self._cumulative)[0]
        return int(FIRST_DAY.timestamp()) + hour * 3600 + rng.randrange(3600)
