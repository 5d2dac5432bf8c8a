"""Sessions of the Agents API with their turns, those of their subagents, and what each turn did."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.emulator.account.assistants import LAST_SECOND
from pipeline.emulator.account.texts import make_id
from pipeline.emulator.account.tool_calls import JsonObject
from pipeline.emulator.successors.items import (
    HOSTED,
    answer_message,
    command_execution,
    reasoning,
    turn_function_call,
    user_message,
)

_HOSTED = ("web_search", "mcp")
_MODELS = ("gpt-5.6-terra", "gpt-5.6-sol")


@dataclass(frozen=True, slots=True)
class TurnHistory:
    """One turn and its items before and after the advance; None when it was not there yet."""

    before: JsonObject | None
    after: JsonObject
    items_before: Sequence[JsonObject]
    items_after: Sequence[JsonObject]


@dataclass(slots=True)
class SessionStory:
    """A session: itself, its subagents, and the turns of all of its agents, oldest first.

    `lists_all`: its list of turns has those of its subagents too, which their own lists have in any case.
    """

    session: JsonObject
    subagents: list[JsonObject] = field(default_factory=list)
    turns: list[TurnHistory] = field(default_factory=list)
    lists_all: bool = False


def tell_session(rng: random.Random, *, turns: int, subagents: int = 0, items: int = 3) -> SessionStory:
    """A session of completed turns, every second one of a subagent while there are any."""
    instant = LAST_SECOND - rng.randint(86_400, 30 * 86_400)
    story = SessionStory(_make_session(rng, instant, has_subagents=subagents > 0))
    story.subagents = [_make_subagent(rng, story.session, instant) for _ in range(subagents)]
    for number in range(turns):
        instant += rng.randint(20, 900)
        agent = story.subagents[number // 2 % subagents] if subagents and number % 2 else None
        turn = make_turn(rng, story.session, instant, subagent=agent)
        done = turn_items(rng, turn["id"], items)
        story.turns.append(TurnHistory(turn, turn, done, done))
    return story


def tell_open_session(rng: random.Random) -> SessionStory:
    """Turns that the advance brings on: one that waits, one whose usage is not known yet, one with an early usage, and
    one that is new. A turn that failed stays.
    """
    story = tell_session(rng, turns=2, subagents=1)
    session, instant = story.session, int(story.turns[-1].after["created_at"])
    for changes in (
        {"status": "waiting", "completed_at": None, "usage": None},
        {"usage": None},
        {"usage": {"input_tokens": 10, "output_tokens": 1, "total_tokens": 11}},
    ):
        instant += 60
        turn = make_turn(rng, session, instant)
        done = turn_items(rng, turn["id"], 3)
        story.turns.append(TurnHistory(turn | changes, turn, done[:2], done))
    failed = make_turn(rng, session, instant + 60) | {"status": "failed", "usage": None}
    failed |= {"error": {"code": "context_length_exceeded", "message": "x"}}
    story.turns.append(TurnHistory(failed, failed, (), ()))
    late = make_turn(rng, session, instant + 120)
    story.turns.append(TurnHistory(None, late, (), turn_items(rng, late["id"], 3)))
    return story


def session_at(story: SessionStory, phase: int) -> JsonObject:
    """The session as it says of itself: when it was active last, and the usage of its own turns."""
    turns = [turn for history in story.turns if (turn := history.after if phase else history.before) is not None]
    last = max((int(turn["completed_at"] or turn["created_at"]) for turn in turns), default=story.session["created_at"])
    status = "requires_action" if any(turn["status"] == "waiting" for turn in turns) else "idle"
    return story.session | {"last_active_at": last, "status": status}


def make_turn(
    rng: random.Random, session: JsonObject, created_at: int, *, subagent: JsonObject | None = None
) -> JsonObject:
    """A completed turn; it names neither its model nor its tier."""
    input_tokens, output_tokens = rng.randint(300, 6000), rng.randint(20, 900)
    return {
        "id": make_id(rng, "turn_"),
        "object": "agent.session.turn",
        "session_id": session["id"],
        "agent_id": session["agent"]["id"],
        "subagent_id": None if subagent is None else subagent["id"],
        "status": "completed",
        "created_at": created_at,
        "started_at": created_at + 1,
        "completed_at": created_at + 9,
        "error": None,
        "usage": {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": rng.randint(0, input_tokens // 2)},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": rng.randint(0, output_tokens // 2)},
            "total_tokens": input_tokens + output_tokens,
        },
        "prompt_cache_options": None,
    }


def turn_items(rng: random.Random, turn_id: str, length: int) -> list[JsonObject]:
    """What a turn did: a question (without an id, as old ones are, now and then), tools, an answer."""
    asked = user_message(rng) | ({"id": None} if rng.random() < 0.3 else {})
    done: list[JsonObject] = [asked]
    while len(done) < length:
        draw = rng.random()
        if draw < 0.3:
            done += turn_function_call(rng)
        elif draw < 0.5:
            done += HOSTED[rng.choice(_HOSTED)](rng)
        else:
            done.append(command_execution(rng) if draw < 0.8 else reasoning(rng))
    done.append(answer_message(rng))
    return [item | {"turn_id": turn_id} for item in done]


def _make_session(rng: random.Random, created_at: int, *, has_subagents: bool) -> JsonObject:
    return {
        "id": make_id(rng, "sess_"),
        "object": "agent.session",
        "created_at": created_at,
        "last_active_at": created_at,
        "status": "idle",
        "error": None,
        "metadata": {"customer": "contoso"},
        "required_actions": [],
        "vault_ids": [],
        "usage": None,
        "environment": {"type": "none"},
        "agent": {
            "id": make_id(rng, "agent_"),
            "name": "Research Desk",
            "model": rng.choice(_MODELS),
            "instructions": None,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "auto",
            "text": {"format": {"type": "text"}},
            "tools": [],
            "multi_agent": {"enabled": has_subagents},
        },
    }


def _make_subagent(rng: random.Random, session: JsonObject, opened_at: int) -> JsonObject:
    return {
        "id": make_id(rng, "sub_"),
        "object": "agent.session.subagent",
        "session_id": session["id"],
        "parent_agent_id": session["agent"]["id"],
        "name": None,
        "instructions": [{"type": "output_text", "text": "Find the weather"}],
        "opened_at": opened_at,
        "closed_at": None,
        "status": "active",
    }
