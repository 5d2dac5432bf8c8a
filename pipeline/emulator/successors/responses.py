"""Responses of conversations and chains before and after the advance, and what was put into each."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.emulator.account.assistants import LAST_SECOND
from pipeline.emulator.account.texts import make_id
from pipeline.emulator.account.tool_calls import JsonObject
from pipeline.emulator.successors.items import (
    HOSTED,
    answer_message,
    function_call,
    function_output,
    reasoning,
    user_message,
)

MODELS = ("gpt-5.4", "gpt-5.6-terra", "gpt-5.5", "gpt-4o")
_TIERS = ("default", "default", "flex", "priority", None)
_AGENTS = ("support-concierge", "data-analyst", "travel-planner")


@dataclass(frozen=True, slots=True)
class ResponseHistory:
    """One response before and after the advance (None: not there yet), and the items that were put into it."""

    before: JsonObject | None
    after: JsonObject
    inputs: Sequence[JsonObject]


@dataclass(slots=True)
class Story:
    """A conversation, or a chain without one, while it is told."""

    rng: random.Random
    instant: int
    conversation_id: str | None
    agent: str
    histories: list[ResponseHistory] = field(default_factory=list)
    waiting: list[JsonObject] = field(default_factory=list)

    def go_on(self, output: Sequence[JsonObject], *, is_new: bool = False, **changes: object) -> ResponseHistory:
        """Add the next response with this output; calls that wait are answered in what is put into it.

        `is_new`: it is not there before the advance. `before`: what it was then.
        """
        rng = self.rng
        self.instant += rng.randint(20, 900)
        inputs = [function_output(rng, call) for call in self.waiting[::-1]] or [user_message(rng)]
        self.waiting = [item for item in output if item["type"] == "function_call"]
        previous = self.histories[-1].after["id"] if self.histories and self.conversation_id is None else None
        before = changes.pop("before", None)
        response = make_response(rng, self.instant, self.conversation_id, previous, self.agent, output) | changes
        earlier = response if before is None else response | before  # type: ignore[operator]
        history = ResponseHistory(None if is_new else earlier, response, inputs)
        self.histories.append(history)
        return history


def begin_story(rng: random.Random, *, has_conversation: bool) -> Story:
    """A story that begins somewhere in the last month."""
    instant = LAST_SECOND - rng.randint(86_400, 30 * 86_400)
    return Story(rng, instant, make_id(rng, "conv_") if has_conversation else None, rng.choice(_AGENTS))


def make_response(
    rng: random.Random,
    created_at: int,
    conversation_id: str | None,
    previous: str | None,
    agent: str,
    output: Sequence[JsonObject],
) -> JsonObject:
    """A completed response. In a conversation it is one of an agent, as Foundry writes it."""
    response_id = make_id(rng, "resp_")
    searches = sum(item["type"] == "web_search_call" and item["action"]["type"] == "search" for item in output)
    response: JsonObject = {
        "id": response_id,
        "object": "response",
        "created_at": float(created_at),
        "completed_at": created_at + 9,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": rng.choice((None, "Answer briefly.", [{"type": "message", "role": "system", "content": "x"}])),
        "model": rng.choice(MODELS),
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": previous,
        "conversation": None,
        "store": True,
        "tool_choice": "auto",
        "tools": [{"type": "web_search"}],
        "usage": make_usage(rng),
        "tool_usage": {"web_search": {"num_requests": searches}},
        "metadata": {"job": str(rng.randrange(9))},
    }
    if (tier := rng.choice(_TIERS)) is not None:
        response["service_tier"] = tier
    if conversation_id is not None:
        reference = {"type": "agent_reference", "name": agent, "version": "3"}
        own = {"response_id": response_id, "agent_reference": reference}
        response |= {"conversation": {"id": conversation_id}, "agent_reference": reference}
        response["output"] = [item | own for item in output]
    return response


def make_usage(rng: random.Random) -> JsonObject:
    """Tokens of a response; those that were read from and written to a cache are part of the input."""
    input_tokens, output_tokens = rng.randint(300, 6000), rng.randint(20, 900)
    cached = rng.randint(0, input_tokens // 3)
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": rng.randint(0, input_tokens // 3)},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": rng.randint(0, output_tokens // 2)},
        "total_tokens": input_tokens + output_tokens,
    }


def tell_ordinary(rng: random.Random, *, has_conversation: bool, length: int | None = None) -> Story:
    """Questions and answers, with tools of the server's and functions of the caller's own in between."""
    story = begin_story(rng, has_conversation=has_conversation)
    for number in range(length or rng.randint(1, 6)):
        output: list[JsonObject] = [reasoning(rng)] if rng.random() < 0.5 else []
        if not story.waiting and number + 1 < (length or 9) and rng.random() < 0.4:
            output += [function_call(rng) for _ in range(rng.randint(1, 2))]
        else:
            for _ in range(rng.randint(0, 2)):
                output += HOSTED[rng.choice(list(HOSTED)[:-1])](rng)
            output.append(answer_message(rng))
        story.go_on(output)
    if story.waiting:
        story.go_on([answer_message(rng)])
    return story


def tell_every_tool(rng: random.Random, *, has_conversation: bool) -> Story:
    """One response for each hosted tool, then two calls at once that are answered in the other order."""
    story = begin_story(rng, has_conversation=has_conversation)
    for make in HOSTED.values():
        story.go_on([*make(rng), answer_message(rng)])
    story.go_on([reasoning(rng), function_call(rng), function_call(rng)])
    story.go_on([answer_message(rng)])
    return story


def tell_every_ending(rng: random.Random, *, has_conversation: bool) -> Story:
    """A response for each way to end: with usage, without it, with null in it; the last has calls nobody answered."""
    story = begin_story(rng, has_conversation=has_conversation)
    error = {"code": "server_error", "message": "Sorry, something went wrong."}
    story.go_on([answer_message(rng)])
    story.go_on([], status="failed", error=error, usage=None, completed_at=None)
    story.go_on([], status="failed", error=error | {"code": "rate_limit_exceeded"}, completed_at=None)
    incomplete: JsonObject = {"incomplete_details": {"reason": "max_output_tokens"}, "completed_at": None}
    story.go_on([answer_message(rng) | {"status": "incomplete"}], status="incomplete", **incomplete)
    story.go_on([], status="cancelled", usage=None, completed_at=None)
    return story


def tell_open(rng: random.Random, *, has_conversation: bool) -> Story:
    """A response in the background, one that waits for its function's output, and one that comes with the advance."""
    story = begin_story(rng, has_conversation=has_conversation)
    story.go_on([answer_message(rng)])
    queued: JsonObject = {"status": "queued", "output": [], "usage": None, "completed_at": None}
    story.go_on([*HOSTED["web_search"](rng), answer_message(rng)], background=True, before=queued)
    story.go_on([function_call(rng), function_call(rng)])
    story.go_on([answer_message(rng)], is_new=True)
    return story
