"""Threads of assistants that go on as conversations: the same customers, agents and tools, the month after the last."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pipeline.emulator.account.assistants import LAST_SECOND, Assistant
from pipeline.emulator.account.corpus import Corpus
from pipeline.emulator.account.hosted_calls import make_tool_call
from pipeline.emulator.account.texts import make_id
from pipeline.emulator.account.tool_calls import JsonObject
from pipeline.emulator.successors.account import Successors
from pipeline.emulator.successors.items import HOSTED, answer_message, reasoning, user_message
from pipeline.emulator.successors.responses import ResponseHistory, Story, make_response

# Who moved, and to which model: those of the newest threads.
_MODELS: Final[Mapping[str, str]] = {
    "Support Concierge": "gpt-5.4",
    "Data Analyst": "gpt-5.4",
    "Travel Planner": "gpt-5.4-mini",
    "Contract Reviewer": "gpt-5.6-terra",
    "Research Desk": "gpt-5.4",
}
_MOVED_THREADS: Final = 90
_DAYS: Final = 14
_DAY_S: Final = 86_400
_MOVED_TOOLS: Final = ("function:", "code_interpreter/", "file_search/content", "file_search/attributes")
_TOOLS: Final[Mapping[str, JsonObject]] = {
    "code_interpreter": {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "1g"}},
    "file_search": {"type": "file_search", "vector_store_ids": ["vs_files"]},
    "web_search": {"type": "web_search"},
}


def tell_moves(corpus: Corpus) -> Successors:
    """The conversations that threads went on as; every twelfth has one more answer with the advance."""
    assistants = {assistant.assistant_id: assistant for assistant in corpus.assistants}
    last_runs: list[tuple[JsonObject, Assistant]] = []
    for thread in corpus.threads:
        if thread.runs:
            run = msgspec.json.decode(thread.runs[-1].item.body)
            assistant = assistants[run["assistant_id"]]
            if assistant.name in _MODELS:
                last_runs.append((run, assistant))
    last_runs.sort(key=lambda found: found[0]["created_at"])
    stories = [
        _tell_move(corpus.seed, run, assistant, grows=number % 12 == 0)
        for number, (run, assistant) in enumerate(last_runs[-_MOVED_THREADS:])
    ]
    return Successors(stories, [])


class _Mover:
    """The customer of a thread in the conversation that goes on from its last run."""

    def __init__(self, rng: random.Random, last_run: JsonObject, assistant: Assistant) -> None:
        instant = LAST_SECOND + 1 + rng.randrange(_DAYS) * _DAY_S + rng.randint(8 * 3600, 17 * 3600)
        agent = assistant.name.lower().replace(" ", "-")
        self.story = Story(rng, instant, make_id(rng, "conv_"), agent)
        self._assistant = assistant
        self._container = make_id(rng, "cntr_")
        self._context = assistant.context_tokens * 2
        self._fields: JsonObject = {
            "instructions": assistant.instructions,
            "metadata": {**(last_run["metadata"] or {}), "thread": last_run["thread_id"]},
            "model": _MODELS[assistant.name],
            "service_tier": "default",
            "tools": [_TOOLS.get(tool["type"], tool) for tool in assistant.tools],
        }

    def ask(self, *, is_new: bool = False) -> None:
        """A question: rounds of tools, each of which ends a response where the caller has to answer, then the text."""
        rng = self.story.rng
        inputs: Sequence[JsonObject] = [user_message(rng)]
        output: list[JsonObject] = [reasoning(rng)]
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            done, answers = self._call_tool()
            output += done
            if answers:
                self._respond(output, inputs, is_new=is_new)
                inputs, output = answers, []
        self._respond([*output, answer_message(rng)], inputs, is_new=is_new)

    def _respond(self, output: Sequence[JsonObject], inputs: Sequence[JsonObject], *, is_new: bool) -> None:
        story = self.story
        story.instant += story.rng.randint(4, 40)
        response = make_response(story.rng, story.instant, story.conversation_id, None, story.agent, output)
        response |= self._fields | {"usage": self._use()}
        story.histories.append(ResponseHistory(None if is_new else response, response, inputs))

    def _use(self) -> JsonObject:
        """The tokens of a response: all that was said before is read again, most of it from the cache."""
        rng = self.story.rng
        cached = self._context // 128 * 128 if self.story.histories else 0
        self._context += rng.randint(300, 900)
        input_tokens, output_tokens = self._context, rng.randint(60, 800)
        self._context += output_tokens
        return {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": rng.randint(0, output_tokens // 3)},
            "total_tokens": input_tokens + output_tokens,
        }

    def _call_tool(self) -> tuple[list[JsonObject], list[JsonObject]]:
        """Items of a call of one of the assistant's tools, and those that the caller answers it with."""
        rng = self.story.rng
        weights = {name: n for name, n in self._assistant.tool_weights.items() if name.startswith(_MOVED_TOOLS)}
        if not weights:
            return HOSTED["web_search"](rng), []
        call = make_tool_call(rng, rng.choices(list(weights), list(weights.values()))[0])
        told = call[call["type"]]
        match call["type"]:
            case "function":
                return _function(rng, call["id"], told)
            case "code_interpreter":
                item = {"code": told["input"], "container_id": self._container, "outputs": _outputs(told["outputs"])}
                return [_hosted(rng, "code_interpreter_call", "ci_", item)], []
            case _:
                item = {"queries": ["returns"], "results": [_hit(hit) for hit in told["results"]]}
                return [_hosted(rng, "file_search_call", "fs_", item)], []


def _tell_move(seed: int, last_run: JsonObject, assistant: Assistant, *, grows: bool) -> Story:
    rng = random.Random(f"{seed}:moved:{last_run['id']}")
    mover = _Mover(rng, last_run, assistant)
    for _ in range(rng.randint(2, 6)):
        mover.ask()
        mover.story.instant += rng.randint(60, 5400)
    if grows:
        mover.ask(is_new=True)
    return mover.story


def _function(rng: random.Random, call_id: str, told: JsonObject) -> tuple[list[JsonObject], list[JsonObject]]:
    call = {"type": "function_call", "id": make_id(rng, "fc_"), "call_id": call_id, "status": "completed"}
    answer = {"type": "function_call_output", "id": make_id(rng, "fco_"), "call_id": call_id, "status": "completed"}
    return [call | {"name": told["name"], "arguments": told["arguments"]}], [answer | {"output": told["output"]}]


def _hosted(rng: random.Random, kind: str, prefix: str, fields: JsonObject) -> JsonObject:
    return {"type": kind, "id": make_id(rng, prefix), "status": "completed", **fields}


def _outputs(outputs: Sequence[JsonObject]) -> list[JsonObject]:
    plot = {"type": "image", "url": "https://example.com/plot.png"}
    return [output if output["type"] == "logs" else plot for output in outputs]


def _hit(hit: JsonObject) -> dict[str, Any]:
    text = " ".join(part["text"] for part in hit.get("content", ()))
    return {
        "file_id": hit["file_id"],
        "filename": hit["file_name"],
        "score": hit["score"],
        "text": text,
        "attributes": hit.get("attributes") or {},
    }
