"""What recorded requests put into a response: outputs of calls that an earlier response made."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Raw, Struct, UnsetType

from pipeline.archives.shapes.content import Context, Within
from pipeline.protocol.item_types import ANSWERS, is_output

_SIGNS = (b"_output", b"_response", b"_result")


class _Asked(Struct, gc=False):
    input: Raw | UnsetType = msgspec.UNSET
    conversation: Any = None
    previous_response_id: Any = None


class _Typed(Struct, gc=False):
    type: Any = None


def read_sent(body: bytes | None, context: Context) -> Iterator[Within]:
    """The outputs in the input of a request for a response; what else is put into it says nothing of calls.

    The calls are of the conversation that the request names, or of the response that it goes on from.
    """
    if body is None or not any(sign in body for sign in _SIGNS):
        return
    try:
        asked = msgspec.json.decode(body, type=_Asked)
        items = [] if isinstance(asked.input, UnsetType) else msgspec.json.decode(asked.input, type=list[Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A text, or a body that was cut: what it put in is not known, the answer is.
        return
    conversation = asked.conversation
    named = conversation.get("id") if isinstance(conversation, dict) else conversation
    owner = named or asked.previous_response_id
    place = f"{context.where}.request.input"
    within = replace(context, list_place=place, thread_id=owner if isinstance(owner, str) else None, is_sent=True)
    for index, item in enumerate(items):
        if _answers_a_call(item):
            yield Within(bytes(item), replace(within, where=f"{place}[{index}]"))


def _answers_a_call(item: Raw) -> bool:
    try:
        kind = msgspec.json.decode(item, type=_Typed).type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(kind, str) and (is_output(kind) or kind in ANSWERS)
