"""Responses, turns and what stands around them: events of streams, lines of batch outputs, items of conversations."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
from msgspec import Raw, UnsetType

from pipeline.archives.shapes.content import Content, Context, Found, LeftOut, Loose, Unrecognised, Within
from pipeline.archives.shapes.foreign import is_json
from pipeline.archives.shapes.heads import (
    NOT_UNICODE,
    Head,
    decode_masked,
    fields_of,
    is_unicode,
    join_raw,
    read_head,
    text_or_none,
)
from pipeline.archives.shapes.owners import held_by_another
from pipeline.flatten.successors.joining import Item, item_of
from pipeline.protocol.item_types import ANSWERS, MESSAGES, OTHERS, is_known, is_output
from pipeline.protocol.json_text import unmask_numbers
from pipeline.protocol.pages import Protocol
from pipeline.protocol.spellings import in_own_style
from pipeline.protocol.successors import RUN_OBJECTS, SESSION, TURN, Response, Turn, conversation_of

# Signs of one of them in a text of JSON.
MARKS = rb'"response\\*"|agent\.session|response\.(?:completed|incomplete|failed)|_call(?:_output)?\\*"'
_EVENTS = "response."
_RESPONSE_NAMES, _TURN_NAMES = frozenset(Response.__struct_fields__), frozenset(Turn.__struct_fields__)
_SESSION_NAMES = frozenset({"id", "object", "agent", "metadata", "usage", "environment", "required_actions"})


def is_successor(head: Head) -> bool:
    """Whether an object is a response, a turn, or something that holds or completes one."""
    return _is_run(head) or head.object == SESSION or _is_batch_line(head) or _is_event(head) or _is_item(head)


def names_of(head: Head) -> frozenset[str] | None:
    """The fields that such an object has of its own, in which no other is; None for what holds none beside them."""
    if head.object == SESSION:
        return _SESSION_NAMES
    if not _is_run(head):
        return None
    return _TURN_NAMES if head.object == TURN else _RESPONSE_NAMES


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
    elif held_by_another(context, None, text_or_none(head.turn_id)) is not None:
        yield Unrecognised(context.where, "an item that names another turn than the one it stands in: it is not kept")
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
    fields = in_own_style(fields_of(answer)) if answer.startswith(b"{") else {}
    inner = bytes(fields.get("body", Raw(b"")))
    if inner.startswith(b'"'):
        # A text of JSON, as a data base keeps it.
        inner = decode_masked(inner, str).encode("utf-8", errors="replace").strip()
        if inner.startswith(b"{") and is_json(inner):
            line = in_own_style(fields_of(body)) | {"response": Raw(join_raw(fields | {"body": Raw(inner)}))}
            body = join_raw(line)
    try:
        inner_head = read_head(inner, is_owned=False) if inner.startswith(b"{") else None
    except msgspec.DecodeError:
        yield Unrecognised(context.where, "a line of a batch whose body is no JSON")
        return
    if inner_head is None or not _is_run(inner_head):
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
    elif protocol == "agents" and held_by_another(context, thread_id, None):
        yield Unrecognised(context.where, "a turn that names another session than the one it stands in: it is not kept")
    elif protocol == "responses" and held_by_another(context, _conversation(head), None):
        stands = "a response that names another conversation than the one it stands in"
        yield Unrecognised(context.where, f"{stands}: it is not kept")
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
    item = Item(item_type, in_own_style(fields_of(body)))
    asked = ANSWERS.get(item_type)
    call_id = item.text(asked[1]) if asked else item.call_id
    run_id = text_or_none(head.turn_id) or text_or_none(head.response_id)
    if run_id is None and context.run_id is not None:
        # Its place tells the turn, which is not seen any more once it has landed.
        run_id, body = context.run_id, join_raw(item.fields | {"turn_id": Raw(msgspec.json.encode(context.run_id))})
    return Loose(unmask_numbers(body), item_type, context.thread_id, run_id, call_id, context)


def output_calls(found: Found) -> Iterator[tuple[str, str]]:
    """Type and id of what the items of a response wait for: calls, and requests that are answered later."""
    inner = found.body if isinstance(found.head.output, UnsetType) else bytes(found.head.output)
    if not inner.startswith(b"["):
        return
    asked = {kind: own for kind, _, own in ANSWERS.values()}
    for raw in decode_masked(inner, list[Raw]):
        if (item := item_of(raw)) is None:
            continue
        own_id = item.text(asked[item.type]) if item.type in asked else item.call_id
        if own_id is not None:
            yield item.type, own_id
