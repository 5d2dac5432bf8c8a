"""The lists of a server as data: where their items' cursors stand, and what can be asked for beside an item."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.protocol.pages import Protocol

_RESPONSE_CONTENTS = ("file_search_call.results", "code_interpreter_call.outputs")


@dataclass(frozen=True, slots=True)
class ListRule:
    """One kind of list. `by_last_id`: the next page comes after last_id, which need not be an item's id; elsewhere it
    comes after the last item. `contents`: values of include[] without which texts are left out.
    """

    by_last_id: bool = False
    contents: tuple[str, ...] = ()


THREADS: Final = ListRule()
RUNS: Final = ListRule()
STEPS: Final = ListRule(contents=("step_details.tool_calls[*].file_search.results[*].content",))
# Foundry's list of responses takes no include[]: what lacks contents is asked for by its id.
RESPONSES: Final = ListRule()
ONE_RESPONSE: Final = ListRule(contents=_RESPONSE_CONTENTS)
INPUT_ITEMS: Final = ListRule()
CONVERSATION_ITEMS: Final = ListRule(by_last_id=True)
TURNS: Final = ListRule()
SUBAGENTS: Final = ListRule()
TURN_ITEMS: Final = ListRule(by_last_id=True)

# The list of what runs are listed by: threads, conversations, sessions.
THREADS_OF: Final[Mapping[Protocol, tuple[str, ...]]] = {
    "assistants": ("threads",),
    "responses": ("conversations",),
    "agents": ("agents", "sessions"),
}
