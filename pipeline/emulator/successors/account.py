"""All conversations, responses and sessions of the business that moved, and the lists a server makes of them."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from pipeline.emulator.account.corpus import Item
from pipeline.emulator.account.tool_calls import JsonObject
from pipeline.emulator.store import ItemList
from pipeline.emulator.successors.items import without_contents
from pipeline.emulator.successors.responses import (
    ResponseHistory,
    Story,
    begin_story,
    tell_every_ending,
    tell_every_tool,
    tell_open,
    tell_ordinary,
)
from pipeline.emulator.successors.sessions import SessionStory, session_at, tell_open_session, tell_session

# Beyond one page, in responses and in items.
_LONG = 130


@dataclass(frozen=True, slots=True)
class Successors:
    """The account in two phases, told as stories: those with a conversation, chains without one, sessions."""

    stories: Sequence[Story]
    sessions: Sequence[SessionStory]

    @property
    def histories(self) -> list[ResponseHistory]:
        """All responses, oldest first."""
        return sorted(
            (history for story in self.stories for history in story.histories), key=lambda h: h.after["created_at"]
        )


def generate_successors(*, seed: int, conversations: int) -> Successors:
    """An account with so many conversations, half as many chains and half as many sessions; awkward ones come first."""
    rng = random.Random(f"{seed}:successors")
    stories = []
    for has_conversation, wanted in ((True, conversations), (False, (conversations + 1) // 2)):
        told = [
            tell_every_tool(rng, has_conversation=has_conversation),
            tell_every_ending(rng, has_conversation=has_conversation),
            tell_open(rng, has_conversation=has_conversation),
            *([begin_story(rng, has_conversation=True)] if has_conversation else []),
            tell_ordinary(rng, has_conversation=has_conversation, length=_LONG if has_conversation else 12),
        ]
        told += [tell_ordinary(rng, has_conversation=has_conversation) for _ in range(wanted - len(told))]
        stories += told[:wanted]
    wanted = (conversations + 1) // 2
    sessions = [
        tell_session(rng, turns=3, subagents=2, items=5),
        tell_open_session(rng),
        tell_session(rng, turns=0),
        tell_session(rng, turns=2, items=_LONG),
        tell_session(rng, turns=_LONG, subagents=1),
    ]
    sessions += [tell_session(rng, turns=rng.randint(1, 5)) for _ in range(wanted - len(sessions))]
    for number, session in enumerate(sessions):
        session.lists_all = number % 2 == 1
    return Successors(stories, sessions[:wanted])


@dataclass(slots=True)
class SuccessorLists:
    """What is listed in one phase, by what is asked for."""

    conversations: ItemList
    responses: ItemList
    sessions: ItemList
    by_conversation: dict[str, ItemList] = field(default_factory=dict)
    conversation_items: dict[str, ItemList] = field(default_factory=dict)
    input_items: dict[str, ItemList] = field(default_factory=dict)
    turns: dict[tuple[str, str | None], ItemList] = field(default_factory=dict)
    subagents: dict[str, ItemList] = field(default_factory=dict)
    turn_items: dict[tuple[str, str | None, str], ItemList] = field(default_factory=dict)


def lists_at(account: Successors, phase: int) -> SuccessorLists:
    """The lists of a phase."""
    lists = SuccessorLists(
        ItemList(_conversation(story) for story in account.stories if story.conversation_id),
        ItemList(_response(state) for history in account.histories if (state := _at(history, phase))),
        ItemList(_item(session_at(story, phase)) for story in account.sessions),
    )
    for story in account.stories:
        _list_story(lists, story, phase)
    for session in account.sessions:
        _list_session(lists, session, phase)
    return lists


def _at(history: ResponseHistory, phase: int) -> JsonObject | None:
    return history.after if phase else history.before


def _list_story(lists: SuccessorLists, story: Story, phase: int) -> None:
    """A response's input repeats all that came before it in its chain or conversation, as Microsoft's server does."""
    items: list[JsonObject] = []
    states = []
    for history in story.histories:
        if (state := _at(history, phase)) is None:
            continue
        items = [*items, *history.inputs]
        lists.input_items[state["id"]] = _items(items)
        items = [*items, *state["output"]]
        states.append(_response(state))
    if story.conversation_id is not None:
        lists.by_conversation[story.conversation_id] = ItemList(states)
        lists.conversation_items[story.conversation_id] = _items(items)


def _list_session(lists: SuccessorLists, story: SessionStory, phase: int) -> None:
    session_id = story.session["id"]
    listed: dict[str | None, list[Item]] = defaultdict(list)
    for agent in (None, *(agent["id"] for agent in story.subagents)):
        listed[agent] = []
    for history in story.turns:
        if (turn := history.after if phase else history.before) is None:
            continue
        agent = turn["subagent_id"]
        for of in {agent, None} if story.lists_all else {agent}:
            listed[of].append(_item(turn))
        items = history.items_after if phase else history.items_before
        lists.turn_items[session_id, agent, turn["id"]] = _items(items)
    for of, turns in listed.items():
        lists.turns[session_id, of] = ItemList(turns)
    lists.subagents[session_id] = ItemList(_item(agent) for agent in story.subagents)


def _items(items: Iterable[JsonObject]) -> ItemList:
    """Items in their order; one without an id is known by its place."""
    listed = []
    for number, item in enumerate(items):
        bare = without_contents(item)
        encoded = msgspec.json.encode(item)
        listed.append(
            Item(item["id"] or f"place_{number}", msgspec.json.encode(bare), None if bare is item else encoded)
        )
    return ItemList(listed)


def _item(value: JsonObject) -> Item:
    return Item(value["id"], msgspec.json.encode(value))


def _response(response: JsonObject) -> Item:
    bare = response | {"output": [without_contents(item) for item in response["output"]]}
    return Item(response["id"], msgspec.json.encode(bare), msgspec.json.encode(response))


def _conversation(story: Story) -> Item:
    value: JsonObject = {
        "id": story.conversation_id,
        "object": "conversation",
        "created_at": story.instant,
        "metadata": {},
    }
    return _item(value)
