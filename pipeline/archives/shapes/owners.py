"""Whose a run or a step is, and of what list a page is: by what they say, else by their place."""

from collections.abc import Iterator
from typing import Any

from pipeline.archives.shapes.content import OF_SEVERAL, Content, Context, Found, Listed, Unrecognised
from pipeline.archives.shapes.heads import (
    NO_VALUES,
    NOT_UNICODE,
    Head,
    decode_masked,
    fields_of,
    has_error,
    is_unicode,
    text_or_none,
)
from pipeline.protocol.json_text import unmask_numbers
from pipeline.protocol.list_heads import GOES_ON, REMARKS, ListReader
from pipeline.protocol.pages import Resource
from pipeline.protocol.spellings import snake_case


def read_owned(resource: Resource, body: bytes, head: Head, context: Context) -> Iterator[Content]:
    """A run or a step with whose it is; what is another's than was asked for is only named."""
    thread_id = text_or_none(head.thread_id) or context.thread_id
    run_id = (text_or_none(head.run_id) or context.run_id) if resource == "steps" else None
    object_id = text_or_none(head.id)
    noun = resource.removesuffix("s")
    if object_id is None:
        yield Unrecognised(context.where, f"a {noun} without an id")
    elif resource == "steps" and run_id is None:
        yield Unrecognised(context.where, "a step that does not say of which run")
    elif thread_id is None:
        yield Unrecognised(context.where, f"a {noun} that does not say of which thread", run_id)
    elif context.is_asked and (context.thread_id or thread_id, context.run_id or run_id) != (thread_id, run_id):
        yield Unrecognised(context.where, f"a {noun} of another list than was asked for: it is not kept")
    elif (other := held_by_another(context, thread_id, run_id)) is not None:
        yield Unrecognised(
            context.where, f"a {noun} that names another {other} than the one it stands in: it is not kept"
        )
    else:
        sent = unmask_numbers(body)
        yield Found(resource, object_id, thread_id, run_id, sent, head, context)
        if not is_unicode(sent):
            yield Unrecognised(context.where, f"a {noun} with {NOT_UNICODE}")


def held_by_another(context: Context, thread_id: str | None, run_id: str | None) -> str | None:
    """What something that stands within a thread or a run says of itself to be another's of: None if nothing."""
    if context.held_in is None:
        return None
    if None not in (context.run_id, run_id) and context.run_id != run_id:
        return "run"
    return "thread" if None not in (context.thread_id, thread_id) and context.thread_id != thread_id else None


_YES, _NO = ("true", "True", 1), ("false", "False", 0)


def _says_more(head: Head, body: bytes) -> bool | None:
    """Whether a page says that more follow; what only names where is heeded where `has_more` says nothing."""
    said = head.has_more
    if isinstance(said, bool):
        return said
    if said in _YES or said in _NO:
        return said in _YES
    beside = fields_of(body)
    return True if any(bytes(beside[name]) not in NO_VALUES for name in GOES_ON & beside.keys()) else None


def listed_page(
    head: Head, body: bytes, found: list[Found], context: Context, item_count: int, *, has_unread: bool
) -> Listed | None:
    """The page of a list, if it says whether more follow; of no thread (`OF_SEVERAL`) if its items are of several."""
    owners = {(item.resource, item.thread_id, item.run_id, item.protocol) for item in found}
    if not owners and context.is_recorded and context.resource is not None and context.thread_id is not None:
        owners = {(context.resource, context.thread_id, context.run_id, "assistants")}
    has_more = _says_more(head, body)
    if has_more is None or not owners or has_error(head):
        return None
    kinds = {(resource, protocol) for resource, _, _, protocol in owners}
    if len(kinds) > 1:
        return None
    [(resource, protocol)] = kinds
    _, thread_id, run_id, _ = next(iter(owners)) if len(owners) == 1 else (resource, OF_SEVERAL, None, protocol)
    ids = tuple(item.object_id for item in found)
    is_whole = len(found) == item_count
    return Listed(resource, thread_id, run_id, ids, has_more, is_whole, has_unread, context, protocol)


def doubt_of_list(body: bytes, head: Head, context: Context) -> str | None:
    """What an answer of the API says that speaks against its being all of a list; exports say what they like."""
    if not context.is_recorded and not (head.object == "list" and isinstance(head.has_more, bool)):
        return None
    # Its words are not repeated: they may be a customer's.
    reader = ListReader(frozenset({"messages", *context.odd_fields}), quotes=False)
    said = {snake_case(name): raw for name, raw in fields_of(body).items() if snake_case(name) in REMARKS}
    return reader.doubt_in({name: decode_masked(bytes(raw), Any) for name, raw in said.items()})
