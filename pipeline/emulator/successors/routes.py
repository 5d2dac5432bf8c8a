"""The routes of responses, conversations and sessions: which list a request means, and what servers demand of it."""

from collections.abc import Callable, Mapping
from typing import Final

from pipeline.emulator.exchange import Exchange, RefusedRequestError, RequestEntry
from pipeline.emulator.state import Emulation
from pipeline.emulator.store import ItemList, Page, UnknownCursorError, choose_body
from pipeline.emulator.successors.account import SuccessorLists

# What a response and the lists of items can be asked to hold beside what they hold anyway.
CONTENTS: Final = frozenset({"file_search_call.results", "code_interpreter_call.outputs"})
_AGENTS_BETA: Final = "agents=v1"
_OF_AGENTS: Final = frozenset(
    {"list_sessions", "get_session", "list_turns", "get_turn", "list_turn_items", "list_subagents"}
)

Asked = Mapping[str, str]
Find = Callable[[Emulation, SuccessorLists, RequestEntry, Asked], ItemList | None]


def serve(find: Find, *, noun: str | None = None) -> Callable[[Emulation, Exchange, RequestEntry], None]:
    """How a route answers: with a page of what `find` finds, or with the one object of it that a `noun` is asked by."""

    def answer(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
        items = find(emulation, emulation.successor_lists(), entry, exchange.parents)
        if items is None:
            raise RefusedRequestError(404, f"{entry.path} was not found.")
        if noun is None:
            exchange.items, exchange.page = items, items.cut(exchange.query)
            return
        asked_id = exchange.parents[noun]
        item = items.find(asked_id)
        if item is None:
            raise RefusedRequestError(404, f"{noun.title()} with id '{asked_id}' not found.")
        exchange.page = Page([choose_body(item, exchange.query.with_content)], single=True)

    return answer


def _conversations(emulation: Emulation, lists: SuccessorLists, entry: RequestEntry, _asked: Asked) -> ItemList:
    _check_lists(emulation, entry)
    return lists.conversations


def _responses(emulation: Emulation, lists: SuccessorLists, entry: RequestEntry, _asked: Asked) -> ItemList | None:
    _check_lists(emulation, entry)
    return lists.responses if entry.thread_id is None else lists.by_conversation.get(entry.thread_id)


def _check_lists(emulation: Emulation, entry: RequestEntry) -> None:
    """OpenAI has neither list."""
    if not emulation.dialect.lists_threads:
        raise RefusedRequestError(404, f"Invalid URL ({entry.method} {entry.path})")


def _one_response(_emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, _asked: Asked) -> ItemList:
    return lists.responses


def _one_conversation(_emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, _asked: Asked) -> ItemList:
    return lists.conversations


def _input_items(_emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, asked: Asked) -> ItemList | None:
    return lists.input_items.get(asked["response"])


def _conversation_items(
    _emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, asked: Asked
) -> ItemList | None:
    return lists.conversation_items.get(asked["conversation"])


def _sessions(_emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, _asked: Asked) -> ItemList:
    return lists.sessions


def _turns(_emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, asked: Asked) -> ItemList | None:
    return lists.turns.get((asked["session"], asked.get("subagent")))


def _subagents(_emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, asked: Asked) -> ItemList | None:
    return lists.subagents.get(asked["session"])


def _turn_items(_emulation: Emulation, lists: SuccessorLists, _entry: RequestEntry, asked: Asked) -> ItemList | None:
    return lists.turn_items.get((asked["session"], asked.get("subagent"), asked["turn"]))


def check_beta(route: str, headers: Mapping[str, str]) -> None:
    """Refuse a request about sessions that does not name the beta."""
    if route in _OF_AGENTS and headers.get("OpenAI-Beta") != _AGENTS_BETA:
        message = "You must provide the 'OpenAI-Beta' header to access the Agents API: 'OpenAI-Beta: agents=v1'."
        raise RefusedRequestError(400, message, code="invalid_beta")


def name_cursors(
    answer: Callable[[Emulation, Exchange, RequestEntry], None],
) -> Callable[[Emulation, Exchange, RequestEntry], None]:
    """The same route with cursors of its own in last_id, which are the only ones that it knows."""

    def named(emulation: Emulation, exchange: Exchange, entry: RequestEntry) -> None:
        if exchange.query.after is not None and not exchange.names_cursor:
            raise UnknownCursorError("after", exchange.query.after)
        answer(emulation, exchange, entry)
        # They are put into last_id when the page is what it will be.
        exchange.own_cursors = True

    return named


_SESSION: Final = "/agents/sessions/{session}"
_SUBAGENT: Final = _SESSION + "/subagents/{subagent}"
# By path: the route's name, what answers it, and which part of the path stands for a thread and for a run.
ROUTES: Final[Mapping[str, tuple[str, Callable[[Emulation, Exchange, RequestEntry], None]]]] = {
    "/conversations": ("list_conversations", serve(_conversations)),
    "/conversations/{conversation}": ("get_conversation", serve(_one_conversation, noun="conversation")),
    "/conversations/{conversation}/items": ("list_conversation_items", serve(_conversation_items)),
    "/responses": ("list_responses", serve(_responses)),
    "/responses/{response}": ("get_response", serve(_one_response, noun="response")),
    "/responses/{response}/input_items": ("list_input_items", serve(_input_items)),
    "/agents/sessions": ("list_sessions", serve(_sessions)),
    _SESSION: ("get_session", serve(_sessions, noun="session")),
    _SESSION + "/turns": ("list_turns", serve(_turns)),
    _SESSION + "/turns/{turn}": ("get_turn", serve(_turns, noun="turn")),
    _SESSION + "/turns/{turn}/items": ("list_turn_items", name_cursors(serve(_turn_items))),
    _SESSION + "/subagents": ("list_subagents", serve(_subagents)),
    _SUBAGENT + "/turns": ("list_turns", serve(_turns)),
    _SUBAGENT + "/turns/{turn}/items": ("list_turn_items", name_cursors(serve(_turn_items))),
}
# The names of path parts and parameters that say which thread, and which run, is meant.
THREAD_NAMES: Final = ("conversation", "session", "conversation_id")
RUN_NAMES: Final = ("response", "turn")
