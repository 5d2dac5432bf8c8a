"""Tool calls that only some servers send: retrieval, the Azure family, flat mcp and an invented type."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Final

from pipeline.emulator.account.texts import CITIES, FILE_NAMES, PASSAGES, PRODUCTS, make_id
from pipeline.emulator.account.tool_calls import (
    CODE_AND_SEARCH_CALLS,
    JsonObject,
    make_function,
    make_question,
)


def _call(rng: random.Random, kind: str, payload: JsonObject) -> JsonObject:
    return {"id": make_id(rng, "call_"), "type": kind, kind: payload}


def make_retrieval(rng: random.Random) -> JsonObject:
    """Retrieval of the first protocol version: nothing but its type."""
    return _call(rng, "retrieval", {})


def make_bing_grounding(rng: random.Random) -> JsonObject:
    """A web search; the metadata is the repr of a Python dict, not JSON."""
    metadata = {"market": "en-US", "num_docs_retrieved": 5, "num_docs_actually_used": rng.randint(0, 5)}
    url = f"https://api.bing.microsoft.com/v7.0/search?q={make_question(rng)}"
    return _call(rng, "bing_grounding", {"requesturl": url, "response_metadata": str(metadata)})


def make_bing_custom_search(rng: random.Random) -> JsonObject:
    """A web search inside chosen sites."""
    url = f"https://api.bing.microsoft.com/v7.0/custom/search?q={make_question(rng)}&customconfig=4"
    return _call(rng, "bing_custom_search", {"requesturl": url, "response_metadata": "{'market': 'de-DE'}"})


def make_azure_ai_search(rng: random.Random) -> JsonObject:
    """A search of an index; the output is the repr of a Python dict."""
    titles = rng.sample(FILE_NAMES, 3)
    output = {"summary": "Retrieved 3 documents.", "metadata": {"titles": titles, "top_k": 3, "filter": True}}
    return _call(rng, "azure_ai_search", {"input": make_question(rng), "output": str(output)})


def make_sharepoint_grounding(rng: random.Random) -> JsonObject:
    """A SharePoint search; the server hides most outputs."""
    output = "[redacted]" if rng.random() < 0.8 else rng.choice(PASSAGES)
    return _call(rng, "sharepoint_grounding", {"input": make_question(rng), "output": output})


def make_fabric_dataagent(rng: random.Random) -> JsonObject:
    """A question to a data agent."""
    output = "| region | revenue |\n|---|---|\n| EMEA | 812344.10 |"
    return _call(rng, "fabric_dataagent", {"input": make_question(rng), "output": output})


def make_openapi(rng: random.Random) -> JsonObject:
    """A call of an HTTP service described by OpenAPI."""
    failing = rng.random() < 0.15
    city = rng.choice(CITIES)
    output = '{"error": "Status code: 502"}' if failing else json.dumps({"city": city, "temperature_c": 21.5})
    payload = {"name": "weather_GetForecast", "arguments": json.dumps({"city": city}), "output": output}
    return _call(rng, "openapi", payload)


def make_browser_automation(rng: random.Random) -> JsonObject:
    """A browser session with its steps."""
    steps = [
        {
            "last_step_result": "Success - page loaded",
            "current_state": f"catalogue page {number}",
            "next_step": f"open the {rng.choice(PRODUCTS)}",
        }
        for number in range(rng.randint(1, 4))
    ]
    payload = {"input": "find the price", "output": "The price is 59.90", "steps": steps}
    return _call(rng, "browser_automation", payload)


def make_azure_function(rng: random.Random) -> JsonObject:
    """A queue-triggered function; sometimes its answer never came."""
    payload: JsonObject = {"name": "reserve_stock", "arguments": json.dumps({"sku": rng.choice(PRODUCTS)})}
    if rng.random() < 0.7:
        payload["output"] = '{"reserved": true}'
    return _call(rng, "azure_function", payload)


def make_deep_research(rng: random.Random) -> JsonObject:
    """A long research task."""
    payload: JsonObject = {"input": make_question(rng)}
    if rng.random() < 0.8:
        payload["output"] = "\n\n".join(rng.choices(PASSAGES, k=4))
    return _call(rng, "deep_research", payload)


def make_computer_use(rng: random.Random) -> JsonObject:
    """One action on a remote screen."""
    payload: JsonObject = {
        "action": {"type": "click", "button": "left", "x": rng.randrange(1280), "y": rng.randrange(720)},
        "pending_safety_checks": [],
        "output": {"type": "computer_screenshot", "file_id": make_id(rng, "file-")},
    }
    return _call(rng, "computer_use_preview", payload)


def make_connected_agent(rng: random.Random) -> JsonObject:
    """A call of another agent; whoever runs the child fills in its thread and run."""
    arguments = json.dumps({"task": make_question(rng)})
    payload = {"name": "research_desk", "arguments": arguments, "output": rng.choice(PASSAGES)}
    return _call(rng, "connected_agent", payload)


def make_mcp(rng: random.Random) -> JsonObject:
    """An MCP call: flat, without a nested object."""
    call: JsonObject = {
        "id": make_id(rng, "call_"),
        "type": "mcp",
        "arguments": json.dumps({"query": make_question(rng)}),
        "name": rng.choice(["search_code", "fetch_docs", "list_issues"]),
        "output": rng.choice(PASSAGES),
    }
    if rng.random() < 0.8:
        call["server_label"] = "github"
    return call


def make_quark_search(rng: random.Random) -> JsonObject:
    """A tool that no description knows."""
    hits = [{"rank": rank, "weight": rng.random()} for rank in range(rng.randint(0, 3))]
    return _call(rng, "quark_search", {"query": make_question(rng), "hits": hits, "flavour": "charm"})


def make_activity(rng: random.Random) -> JsonObject:
    """The listing of an MCP server's tools; an activity, not a tool call."""
    tools = {
        "search_code": {
            "description": "Search the code of one repository.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
        "fetch_docs": {"parameters": {"type": "object"}},
    }
    return {
        "id": make_id(rng, "activity_"),
        "type": "mcp_list_tools",
        "server_label": "github",
        "tools": tools,
    }


TOOL_CALLS: Final[Mapping[str, Callable[[random.Random], JsonObject]]] = {
    **CODE_AND_SEARCH_CALLS,
    "retrieval": make_retrieval,
    "bing_grounding": make_bing_grounding,
    "bing_custom_search": make_bing_custom_search,
    "azure_ai_search": make_azure_ai_search,
    "sharepoint_grounding": make_sharepoint_grounding,
    "fabric_dataagent": make_fabric_dataagent,
    "openapi": make_openapi,
    "browser_automation": make_browser_automation,
    "azure_function": make_azure_function,
    "deep_research": make_deep_research,
    "computer_use_preview": make_computer_use,
    "connected_agent": make_connected_agent,
    "mcp": make_mcp,
    "quark_search": make_quark_search,
}


def make_tool_call(rng: random.Random, variant: str) -> JsonObject:
    """A tool call of the given variant: a key of `TOOL_CALLS`, or `function:NAME`."""
    kind, _, name = variant.partition(":")
    if kind == "function":
        return make_function(rng, name, failing=rng.random() < 0.12)
    return TOOL_CALLS[variant](rng)
