"""Items of responses and turns as servers send them: calls of hosted tools, of functions, and what answers them."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Final

from pipeline.emulator.account.texts import CITIES, FILE_NAMES, PASSAGES, PRODUCTS, QUESTIONS, UNICODE_SAMPLES, make_id
from pipeline.emulator.account.tool_calls import JsonObject


def user_message(rng: random.Random) -> JsonObject:
    """What a person asked; it has no response."""
    content = [{"type": "input_text", "text": rng.choice(QUESTIONS)}]
    return {"type": "message", "id": make_id(rng, "msg_"), "role": "user", "status": "completed", "content": content}


def answer_message(rng: random.Random) -> JsonObject:
    """What the model answered, with a citation now and then."""
    text = rng.choice((*PASSAGES, *UNICODE_SAMPLES))
    cited = [{"type": "url_citation", "url": "https://example.com/", "title": "x", "start_index": 0, "end_index": 1}]
    part = {"type": "output_text", "text": text, "annotations": cited if rng.random() < 0.2 else [], "logprobs": []}
    message = {"type": "message", "id": make_id(rng, "msg_"), "role": "assistant", "status": "completed"}
    return message | {"phase": "final_answer", "content": [part]}


def reasoning(rng: random.Random) -> JsonObject:
    """A thought, summed up."""
    summary = [{"type": "summary_text", "text": "Ask the tool."}]
    return {"type": "reasoning", "id": make_id(rng, "rs_"), "status": None, "summary": summary}


def function_call(rng: random.Random) -> JsonObject:
    """A call of a function of the caller's own; whoever goes on answers it."""
    name, arguments = rng.choice(
        [("get_weather", {"city": rng.choice(CITIES)}), ("get_order_status", {"product": rng.choice(PRODUCTS)})]
    )
    call = {"type": "function_call", "id": make_id(rng, "fc_"), "call_id": make_id(rng, "call_"), "name": name}
    return call | {"arguments": json.dumps(arguments), "status": "completed"}


def function_output(rng: random.Random, call: JsonObject) -> JsonObject:
    """The answer to a call: text, a list of parts, or an error as text."""
    output: object = rng.choice(["18 C", '{"error": "timeout"}', [{"type": "input_text", "text": "shipped"}]])
    answer = {"type": "function_call_output", "id": make_id(rng, "fco_"), "call_id": call["call_id"]}
    return answer | {"output": output, "status": "completed"}


def _web_search(rng: random.Random) -> list[JsonObject]:
    action: JsonObject = {"type": "search", "query": rng.choice(QUESTIONS), "queries": None}
    if rng.random() < 0.3:
        action = {"type": "open_page", "url": "https://example.com/"}
    return [{"type": "web_search_call", "id": make_id(rng, "ws_"), "status": "completed", "action": action}]


def _file_search(rng: random.Random) -> list[JsonObject]:
    results = [
        {
            "file_id": make_id(rng, "file-"),
            "filename": rng.choice(FILE_NAMES),
            "score": round(rng.random(), 4),
            "text": rng.choice(PASSAGES),
            "attributes": {"year": 2026} if rng.random() < 0.3 else {},
        }
        for _ in range(rng.randint(0, 3))
    ]
    call = {"type": "file_search_call", "id": make_id(rng, "fs_"), "status": "completed"}
    return [call | {"queries": [rng.choice(QUESTIONS)], "results": results}]


def _code_interpreter(rng: random.Random) -> list[JsonObject]:
    outputs: list[JsonObject] = [{"type": "logs", "logs": "2\n"}]
    if rng.random() < 0.4:
        outputs.append({"type": "image", "url": "https://example.com/plot.png"})
    call = {"type": "code_interpreter_call", "id": make_id(rng, "ci_"), "status": "completed"}
    return [call | {"container_id": make_id(rng, "cntr_"), "code": "print(1 + 1)", "outputs": outputs}]


def _mcp(rng: random.Random) -> list[JsonObject]:
    is_failed = rng.random() < 0.2
    call: JsonObject = {"type": "mcp_call", "id": make_id(rng, "mcp_"), "server_label": "github", "name": "search_code"}
    call |= {"arguments": json.dumps({"query": rng.choice(QUESTIONS)}), "approval_request_id": None}
    passage = None if is_failed else rng.choice(PASSAGES)
    answered: JsonObject = {"output": passage, "error": "timeout" if is_failed else None}
    return [call | answered | {"status": "failed" if is_failed else "completed"}]


def _grounding(kind: str) -> Callable[[random.Random], list[JsonObject]]:
    def make(rng: random.Random) -> list[JsonObject]:
        call_id = make_id(rng, "call_")
        call = {"type": f"{kind}_call", "id": make_id(rng, "gr_"), "call_id": call_id, "status": "completed"}
        answer = {"type": f"{kind}_call_output", "id": make_id(rng, "gro_"), "call_id": call_id, "status": "completed"}
        return [call | {"arguments": json.dumps({"query": rng.choice(QUESTIONS)})}, answer | {"output": "[redacted]"}]

    return make


def _image(rng: random.Random) -> list[JsonObject]:
    call = {"type": "image_generation_call", "id": make_id(rng, "ig_"), "status": "completed"}
    return [call | {"result": "aGk=", "revised_prompt": "a head lamp", "size": "1024x1024", "quality": "low"}]


def _new_tool(rng: random.Random) -> list[JsonObject]:
    call = {"type": "telepathy_call", "id": make_id(rng, "tp_"), "status": "completed"}
    return [call | {"thought": {"strength": rng.random()}}]


# Tools that the server itself calls and answers; the last is one that no description knows.
HOSTED: Final[Mapping[str, Callable[[random.Random], list[JsonObject]]]] = {
    "web_search": _web_search,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
    "mcp": _mcp,
    "bing_grounding": _grounding("bing_grounding"),
    "azure_ai_search": _grounding("azure_ai_search"),
    "image_generation": _image,
    "telepathy": _new_tool,
}


def without_contents(item: JsonObject) -> JsonObject:
    """The item as it is sent to those who do not ask for contents."""
    hidden = {"file_search_call": "results", "code_interpreter_call": "outputs"}.get(item["type"])
    return item if hidden is None else item | {hidden: None}


def command_execution(rng: random.Random) -> JsonObject:
    """A command that a turn's environment ran."""
    item = {"type": "command_execution", "id": make_id(rng, "cmd_"), "command": "ls", "cwd": "/workspace"}
    return item | {"exit_code": rng.choice([0, 0, 1]), "duration_ms": 12, "output": "a\n", "status": "completed"}


def turn_function_call(rng: random.Random) -> list[JsonObject]:
    """A function's call and its answer in one turn: there arguments are any JSON value, and errors stand apart."""
    call = function_call(rng) | {"arguments": {"city": rng.choice(CITIES)}}
    failed = rng.random() < 0.2
    answer = {"type": "function_call_output", "id": make_id(rng, "fco_"), "call_id": call["call_id"]}
    said = {"output": None, "error": "timeout"} if failed else {"output": "18 C", "error": None}
    return [call, answer | said | {"status": "failed" if failed else "completed"}]
