"""Responses, turns and what stands around them: events of streams, lines of batch outputs, items of conversations."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
from msgspec import Raw, UnsetType

from pipeline.archives.shapes.content import Content, Context, Found, LeftOut, Loose, Unrecognised, Within
from pipeline.archives.shapes.heads import (
    NOT_UNICODE,
    Head,
    decode_masked,
    fields_of,
    is_unicode,
    read_head,
    text_or_none,
)
from pipeline.flatten.successors.joining import Item
from pipeline.protocol.item_types import ANSWERS, MESSAGES, OTHERS, is_known, is_output
from pipeline.protocol.json_text import unmask_numbers
from pipeline.protocol.pages import Protocol
from pipeline.protocol.successors import RESPONSE, RUN_OBJECTS, SESSION, TURN, conversation_of

# Signs of one of them in a text of JSON.
MARKS = rb'"response\\?"|agent\.session|response\.(?:completed|incomplete|failed)|_call(?:_output)?\\?"'
_EVENTS = "response."


def is_successor(head: Head) -> bool:
    """Whether an object is a response, a turn, or something that holds or completes one."""
    return _is_run(head) or head.object == SESSION or _is_batch_line(head) or _is_event(head) or _is_item(head)


def read_successor(body: bytes, head: Head, context: Context) -> Iterator[Content | Within]:
    """What such an object holds."""
    if _is_run(head):
        yield from _found(body, head, context)
    elif head.object == SESSION:
        yield Loose(unmask_numbers(body), SESSION, text_or_none(head.id), None, None, context)
    elif _is_batch_line(head):
        yield from _read_batch_line(body, head, context)
    elif _is_event(head):
        # What has no response in it is a piece of one that another event has whole.
        response = head.response
        if isinstance(response, UnsetType) or not bytes(response).startswith(b"{"):
            yield LeftOut(context.where)
        else:
            yield Within(bytes(response), replace(context, where=f"{context.where}.response", in_list=False))
    else:
        yield _loose(body, head, context)


def _is_run(head: Head) -> bool:
    if head.object is None:
        # Of responses that were dumped without what is always the same.
        has_output = not isinstance(head.output, UnsetType) and bytes(head.output).startswith(b"[")
        return has_output and isinstance(head.id, str) and head.type is None and isinstance(head.status, str)
    return isinstance(head.object, str) and head.object in RUN_OBJECTS


def _is_batch_line(head: Head) -> bool:
    return head.object is None and isinstance(head.custom_id, str) and not isinstance(head.response, UnsetType)


def _is_event(head: Head) -> bool:
    return head.object is None and isinstance(head.type, str) and head.type.startswith(_EVENTS)


def _is_item(head: Head) -> bool:
    """Items tell their type and no object; other things that have a type have none of these."""
    if head.object is not None or not isinstance(head.step_details, UnsetType):
        return False
    if head.type is None:
        # A message in the short form, as lists of input have it.
        return isinstance(head.role, str) and head.id is None and head.thread_id is None
    if not isinstance(head.type, str):
        return False
    if head.type in MESSAGES:
        return isinstance(head.role, str)
    return head.type in OTHERS or is_output(head.type) or is_known(head.type)


def _read_batch_line(body: bytes, head: Head, context: Context) -> Iterator[Content]:
    """A response with the line that it came in, which tells that it was batched; a request that failed is left out."""
    answer = b"" if isinstance(head.response, UnsetType) else bytes(head.response)
    inner = bytes(fields_of(answer).get("body", Raw(b""))) if answer.startswith(b"{") else b""
    inner_head = read_head(inner, is_owned=True) if inner.startswith(b"{") else None
    if inner_head is None or inner_head.object != RESPONSE:
        yield LeftOut(context.where)
    else:
        yield from _found(body, inner_head, context)


def _found(body: bytes, head: Head, context: Context) -> Iterator[Content]:
    """A response or a turn, of which `body` lands: of a batch the line that has it."""
    protocol: Protocol = "agents" if head.object == TURN else "responses"
    noun = "turn" if protocol == "agents" else "response"
    object_id = text_or_none(head.id)
    if protocol == "agents":
        thread_id = text_or_none(head.session_id) or context.thread_id
    else:
        # By itself alone: the same response has one thread wherever it is found.
        thread_id = _conversation(head) or object_id
    if object_id is None:
        yield Unrecognised(context.where, f"a {noun} without an id")
    elif thread_id is None:
        yield Unrecognised(context.where, f"a {noun} that does not say of which session")
    else:
        sent = unmask_numbers(body)
        yield Found("runs", object_id, thread_id, None, sent, head, context, protocol)
        if not is_unicode(sent):
            yield Unrecognised(context.where, f"a {noun} with {NOT_UNICODE}")


def _conversation(head: Head) -> str | None:
    if isinstance(head.conversation, UnsetType):
        return None
    return conversation_of(head.conversation)


def _loose(body: bytes, head: Head, context: Context) -> Loose:
    item_type = head.type or "message"
    item = Item(item_type, fields_of(body))
    asked = ANSWERS.get(item_type)
    call_id = item.text(asked[1]) if asked else item.call_id
    run_id = text_or_none(head.turn_id) or text_or_none(head.response_id) or context.run_id
    return Loose(unmask_numbers(body), item_type, context.thread_id, run_id, call_id, context)


def output_calls(found: Found) -> Iterator[tuple[str, str]]:
    """Type and id of what the items of a response wait for: calls, and requests that are answered later."""
    inner = found.body if isinstance(found.head.output, UnsetType) else bytes(found.head.output)
    if not inner.startswith(b"["):
        return
    asked = {kind: own for kind, _, own in ANSWERS.values()}
    for raw in decode_masked(inner, list[Raw]):
        if not bytes(raw).startswith(b"{"):
            continue
        item = Item("", msgspec.json.decode(raw, type=dict[str, Raw]))
        item.type = item.text("type") or ""
        own_id = item.text(asked[item.type]) if item.type in asked else item.call_id
        if own_id is not None:
            yield item.type, own_id
