"""What a response leaves open: calls whose outputs are put into a later one, and contents that were not sent. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct, field

from pipeline.protocol.item_types import ASKED_FOR, is_output
from pipeline.protocol.json_text import decode_with
from pipeline.protocol.list_heads import usable_id
from pipeline.protocol.wire import ItemHead

_CONTENTS = {"file_search_call": "results", "code_interpreter_call": "outputs"}


class ResponseHead(ItemHead):
    """What a walk needs of a response."""

    kind: object = field(default=None, name="object")
    previous_response_id: object = None
    output: object = None

    @property
    def conversation_id(self) -> str | None:
        """The conversation that it is of."""
        named = self.conversation
        return usable_id(named.get("id") if isinstance(named, dict) else named)


class _Responses(Struct, gc=False):
    data: list[ResponseHead]


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to be fetched for a response beside itself: outputs of calls, by their ids, and contents of its own."""

    outputs: frozenset[str] = frozenset()
    contents: bool = False


class _Items(Struct, gc=False):
    data: list[object]


_decode_head = decode_with(ResponseHead, "a response")
_decode_items = decode_with(_Items, "a list of items")
_decode_list = decode_with(_Responses, "a list of responses")


def decode_response(body: bytes) -> ResponseHead:
    """The head of a response. Raises ValueError for what is none."""
    head = _decode_head(body)
    if head.kind != "response" or usable_id(head.id) is None:
        raise ValueError("what is no response")
    return head


def read_responses(body: bytes) -> list[ResponseHead]:
    """The heads on a page of a list, with their outputs."""
    return _decode_list(body).data


def needs_of(response: ResponseHead) -> Needs:
    """What a response leaves open."""
    items = [item for item in response.output if isinstance(item, dict)] if isinstance(response.output, list) else []
    called = {
        call_id for item in items if item.get("type") in ASKED_FOR and (call_id := usable_id(item.get("call_id")))
    }
    lacks = any(
        _CONTENTS[kind] in item and item[_CONTENTS[kind]] is None
        for item in items
        if (kind := item.get("type")) in _CONTENTS
    )
    return Needs(frozenset(called - _answered(items)), lacks)


def answered_by(bodies: Iterable[bytes]) -> set[str]:
    """The ids of calls whose outputs are on these pages of items."""
    found: set[str] = set()
    for body in bodies:
        found |= _answered(item for item in _decode_items(body).data if isinstance(item, dict))
    return found


def responses_named(bodies: Iterable[bytes]) -> set[str]:
    """The responses that items on these pages say that they are of."""
    items = (item for body in bodies for item in _decode_items(body).data if isinstance(item, dict))
    return {response_id for item in items if (response_id := usable_id(item.get("response_id")))}


def _answered(items: Iterable[dict[str, object]]) -> set[str]:
    return {
        call_id
        for item in items
        if isinstance(kind := item.get("type"), str)
        and is_output(kind)
        # Of a local shell's output it is the id.
        and (call_id := usable_id(item.get("call_id")) or usable_id(item.get("id")))
    }
