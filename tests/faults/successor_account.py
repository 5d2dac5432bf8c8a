"""The account of conversations, responses and sessions that cells strike: few, and each kind of list has two pages."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.emulator import RunningEmulator
from pipeline.emulator.account.tool_calls import JsonObject
from pipeline.emulator.successors.account import Successors
from pipeline.emulator.successors.responses import Story, tell_ordinary
from pipeline.emulator.successors.sessions import SessionStory, TurnHistory, make_turn, tell_session, turn_items
from pipeline.emulator.successors.truth import count_successors
from tests.faults.cell import Ended, Lists
from tests.faults.http_cells import Rule
from tests.faults.running import run_verb, write_profile
from tests.syncs import environ_for

_LONG = 105
_KINDS = {"conversations": "foundry-responses", "chains": "responses", "agents": "agents"}


@dataclass(frozen=True, slots=True)
class Row:
    """One response or turn: what is its own, its calls by type, and what may stand in other lists than its own."""

    thread_id: str
    said: tuple[object, ...]
    calls: tuple[str, ...]
    answered: int
    contents: tuple[int, int]


@cache
def make_account() -> Successors:
    """Three conversations, two chains, four sessions; the first of each is long, of sessions all but the last."""
    rng = random.Random("faults of successors")
    stories = [tell_ordinary(rng, has_conversation=True, length=length) for length in (_LONG, 5, 4)]
    # A response's input repeats all that came before it: the lists of the later half take two pages.
    stories += [tell_ordinary(rng, has_conversation=False, length=length) for length in (70, 4)]
    sessions = [tell_session(rng, turns=_LONG), _tell_delegated(rng), tell_session(rng, turns=2, items=_LONG)]
    account = Successors(stories, [*sessions, tell_session(rng, turns=4)])
    for way in _KINDS:
        rows, truth = rows_of(account, way).values(), count_successors(account, 0)[way]
        counted = (len(rows), sum(row.answered for row in rows), sum(len(row.calls) for row in rows))
        assert counted == (truth.runs, truth.answered, sum(truth.calls_by_type.values())), "one count, two answers"
    return account


def _tell_delegated(rng: random.Random) -> SessionStory:
    """A session whose subagent has more turns than a page."""
    story = tell_session(rng, turns=3, subagents=1)
    instant = int(story.turns[-1].after["created_at"])
    for number in range(_LONG):
        turn = make_turn(rng, story.session, instant + 20 * number, subagent=story.subagents[0])
        done = turn_items(rng, turn["id"], 3)
        story.turns.append(TurnHistory(turn, turn, done, done))
    return story


def rows_of(account: Successors, way: str) -> dict[str, Row]:
    """All responses or turns by their ids."""
    if way == "agents":
        return {
            turn.after["id"]: _row(story.session["id"], turn.after, turn.items_after, turn.items_after)
            for story in account.sessions
            for turn in story.turns
        }
    rows = {}
    for story in account.stories:
        if (story.conversation_id is None) == (way == "chains"):
            given = [item for history in story.histories for item in history.inputs]
            for history in story.histories:
                run = history.after
                rows[run["id"]] = _row(story.conversation_id or run["id"], run, run["output"], given)
    return rows


def _row(thread_id: str, run: JsonObject, items: Sequence[JsonObject], given: Sequence[JsonObject]) -> Row:
    usage = run["usage"]
    tokens = (
        usage["input_tokens"],
        usage["output_tokens"],
        usage["total_tokens"],
        usage["input_tokens_details"].get("cached_tokens", 0),
        usage["input_tokens_details"].get("cache_write_tokens", 0),
        usage["output_tokens_details"].get("reasoning_tokens", 0),
    )
    outputs = {item["call_id"] for item in given if item["type"] == "function_call_output"}
    kinds = (item["type"].removesuffix("_call") for item in items)
    calls = [
        kind
        for kind, item in zip(kinds, items, strict=True)
        if item["type"].endswith("_call") or kind == "command_execution"
    ]
    code = sum(len(item["outputs"]) for item in items if item["type"] == "code_interpreter_call")
    found = sum(len(item["results"]) for item in items if item["type"] == "file_search_call")
    answered = sum(item["type"] == "function_call" and item["call_id"] in outputs for item in items)
    return Row(thread_id, (run["status"], *tokens), tuple(sorted(calls)), answered, (code, found))


def long_conversation() -> str:
    """The conversation of two pages of responses and three of items."""
    return str(make_account().stories[0].conversation_id)


def long_chain() -> Story:
    """The chain whose later lists of input items take two pages."""
    return make_account().stories[3]


def session_of(number: int) -> SessionStory:
    """0: many turns; 1: many turns of a subagent; 2: many items of a turn."""
    return make_account().sessions[number]


@dataclass(frozen=True, slots=True)
class SyncSuccessors:
    """One sync of all conversations, of all responses of chains by their ids, or of some sessions (the last always)."""

    way: str
    session: int = 0
    settings: Rule = field(default_factory=dict)

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How it ended."""
        server.emulation.successors = make_account()
        kind = {"kind": _KINDS[self.way], "base_url": server.base_url, "workers": 1}
        write_profile(folder, {**kind, **self.settings})
        named = self.thread_ids()
        if self.way == "chains":
            (folder / "app.log").write_text("\n".join(named))
            named = ["--responses", "app.log"]
        environ = environ_for(OPENAI_API_KEY=server.api_key, AZURE_AI_TOKEN=server.api_key, COLUMNS="1000")
        return run_verb(folder, "sync", *named, environ=environ)

    def thread_ids(self) -> list[str]:
        """What is synced."""
        ids = list(dict.fromkeys(row.thread_id for row in rows_of(make_account(), self.way).values()))
        return [ids[self.session], ids[-1]] if self.way == "agents" else ids
