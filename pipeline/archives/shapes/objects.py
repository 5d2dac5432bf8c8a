"""Runs and steps out of JSON documents of any shape that people keep them in; pure, nothing is passed over silently."""

import re
from collections.abc import Iterator
from dataclasses import replace

import msgspec
from msgspec import Raw, UnsetType

from pipeline.archives.shapes.content import Content, Context, Found, LeftOut, Unrecognised, Within
from pipeline.archives.shapes.event_streams import is_stream_line, read_stream
from pipeline.archives.shapes.foreign import is_json, is_python, why_not_json
from pipeline.archives.shapes.heads import (
    Head,
    decode_masked,
    fields_of,
    has_error,
    is_error,
    is_exchange,
    is_other_object,
    join_raw,
    raw_or_null,
    read_head,
    resource_of,
    text_or_none,
)
from pipeline.archives.shapes.http_recordings import is_http, read_exchange, read_interactions, read_recording
from pipeline.archives.shapes.log_lines import is_words, left_of, read_log_line
from pipeline.archives.shapes.owners import doubt_of_list, listed_page, read_owned
from pipeline.archives.shapes.successors import MARKS, is_successor, names_of, read_successor
from pipeline.protocol.json_text import MOST_VALUES, emptied_members, has_too_many_values, mask_numbers
from pipeline.protocol.pages import Resource
from pipeline.protocol.spellings import own_name, snake_case
from pipeline.protocol.successors import SESSION, TURN
from pipeline.protocol.wire import Run, Step
from pipeline.protocol.words import shown_id

# Signs of a run or a step in a text of JSON, in any spelling.
_MARKS = re.compile(
    rb'thread\.run|step_?details|"run_?id|assistant_?id|"(?:run_?|thread_?)?(?:steps|runs)\\?"|' + MARKS,
    re.IGNORECASE,
)
# Fields that hold the runs of a thread or the steps of a run, whatever their items say of themselves.
_LISTS: dict[str, Resource] = {"steps": "steps", "run_steps": "steps", "runs": "runs", "thread_runs": "runs"}
# Lists of an object whose items are its own.
_HELD_LISTS: dict[str, frozenset[str]] = {
    "thread": frozenset(_LISTS),
    "thread.run": frozenset({"steps", "run_steps"}),
    "conversation": frozenset({"responses"}),
    SESSION: frozenset({"turns"}),
    TURN: frozenset({"items"}),
}
_ENVELOPE = frozenset({"object", "data", "first_id", "last_id", "has_more", "error"})
_OWN_OBJECTS = (b'"thread.run"', b'"thread.run.step"')
# Others that hold runs, responses or turns.
_HOLDERS = frozenset({"thread", "conversation", "event"})
_HELD_SIGNS = (b'teps"', b'uns"', b'"response"', b'"agent.session')
# As often as there are, in whatever spelling, runs of either protocol in an object.
_RUN_SIGNS = (b'"response"', b'\\"response\\', b'"agent.session', b'\\"agent.session', b"thread.run")
_LOG_MARKS = frozenset({"level", "severity", "levelname", "log_level", "lvl"})
_ITEM_NAMES: dict[Resource, frozenset[str]] = {
    "runs": frozenset(Run.__struct_fields__),
    "steps": frozenset(Step.__struct_fields__),
}


def read_content(body: bytes, context: Context) -> Iterator[Content]:
    """Everything that one document holds: JSON, an event of a stream, or a line of a log."""
    try:
        yield from _read_text(body, context)
    except RecursionError:
        yield Unrecognised(context.where, "nested too deeply")


def _read_text(body: bytes, context: Context) -> Iterator[Content]:
    text = body.lstrip()
    if has_too_many_values(body):
        yield Unrecognised(context.where, f"more than {MOST_VALUES:,} values in one document: split it")
    elif text.startswith((b"{", b"[")):
        json_text = body if is_json(body) else mask_numbers(body)
        if is_json(json_text):
            yield from _read_value(json_text, context)
        elif not is_python(body) and (pieces := list(read_log_line(text))):
            # A line that begins with a word in brackets.
            yield from _read_pieces(pieces, text, context)
        else:
            yield Unrecognised(context.where, why_not_json(body))
    elif text.startswith(b'"') and is_json(body) and _MARKS.search(text):
        yield from _read_value(body, context)
    elif is_stream_line(text):
        for within in read_stream(body, context):
            yield from _read_text(within.body, within.context)
    elif pieces := list(read_log_line(text)):
        yield from _read_pieces(pieces, text, context)
    elif context.is_search:
        # Words of something that is not known; a run or step among them that is broken is told.
        if b"thread.run" in text and not is_words(text):
            yield Unrecognised(context.where, why_not_json(body))
    elif is_words(text):
        yield LeftOut(context.where)
    else:
        yield Unrecognised(context.where, why_not_json(body))


def _read_pieces(pieces: list[bytes], text: bytes, context: Context) -> Iterator[Content]:
    """What the JSON in a line of a log holds; a line that speaks of no run or step is left out."""
    within = replace(context, is_search=True)
    found = [content for piece in pieces for content in _read_text(piece, within)]
    yield from found
    if b"thread.run" in (left_of(text, pieces) if found else text):
        yield Unrecognised(context.where, "a run or step behind other words that cannot be read")
    elif not found:
        yield LeftOut(context.where)


def _read_value(body: bytes, context: Context) -> Iterator[Content]:
    text = body.lstrip()
    if text.startswith(b"["):
        for index, item in enumerate(msgspec.json.decode(body, type=list[Raw])):
            yield from _read_value(bytes(item), replace(context, where=f"{context.where}[{index}]"))
    elif text.startswith(b"{"):
        yield from _read_object(body, context)
    elif text.startswith(b'"') and _MARKS.search(text):
        # An object that was kept as a text of JSON, in a log or a column of a data base.
        inner = decode_masked(body, str).encode("utf-8", errors="replace")
        if not set(inner) & set(b"{["):
            # A name, such as that of an event.
            return
        yield from _read_text(inner, replace(context, where=f"{context.where} (in a text)", is_search=True))
    elif not context.is_search:
        yield Unrecognised(context.where, "no JSON object or list")


def _read_object(body: bytes, context: Context) -> Iterator[Content]:
    head = read_head(body, is_owned=context.thread_id is not None)
    is_list = not isinstance(head.data, UnsetType) and bytes(head.data).lstrip().startswith(b"[")
    if (resource := resource_of(head, context.resource, is_search=context.is_search)) is not None:
        yield from _read_item(resource, body, head, context)
    elif is_successor(head):
        yield from _read_successor(body, head, context)
    elif is_list:
        yield from _read_page(body, head, context)
    elif not isinstance(head.log, UnsetType) and b'"entries"' in bytes(head.log):
        yield from _read_within(read_recording(head.log, context))
    elif not isinstance(head.interactions, UnsetType) or not isinstance(head.http_interactions, UnsetType):
        yield from _read_within(read_interactions(head, context))
    elif is_exchange(head) and is_http(head):
        yield from _read_within(read_exchange(head, context))
    else:
        yield from _read_wrapper(body, head, context)


def _read_within(shapes: Iterator[Within | Content]) -> Iterator[Content]:
    for shape in shapes:
        if not isinstance(shape, Within):
            yield shape
        elif shape.is_stream:
            for event in read_stream(shape.body, shape.context):
                yield from _read_text(event.body, event.context)
        else:
            yield from _read_text(shape.body, shape.context)


def _read_page(body: bytes, head: Head, context: Context) -> Iterator[Content]:
    """A list envelope: its items, how it says that the list goes on, and what stands beside them."""
    if has_error(head):
        yield Unrecognised(context.where, "a list with an error beside it, which may not be all of it")
    if body.count(b'"data"') > 1 and "data" in emptied_members(body):
        yield Unrecognised(context.where, "a list whose data stands in it twice, the last time empty")
    if (doubt := doubt_of_list(body, head, context)) is not None:
        yield Unrecognised(context.where, f"a list that may not be all: {doubt}")
    place = f"{context.where}.data"
    within = replace(context, where=place, in_list=head.object == "list", list_place=place)
    found: list[Found] = []
    has_unread = False
    items = msgspec.json.decode(raw_or_null(head.data), type=list[Raw])
    for index, item in enumerate(items):
        contents = list(_read_value(bytes(item), replace(within, where=f"{place}[{index}]")))
        own = [each for each in contents if isinstance(each, Found) and each.context.where == f"{place}[{index}]"]
        found += own
        has_unread |= not own and any(isinstance(each, Unrecognised) for each in contents)
        yield from contents
    if (listed := listed_page(head, body, found, within, len(items), has_unread=has_unread)) is not None:
        yield listed
    beside = {name: raw for name, raw in fields_of(body).items() if snake_case(name) not in _ENVELOPE}
    for name, raw in beside.items():
        yield from _search(name, raw, replace(context, resource=None, is_recorded=False, is_asked=False, in_list=False))


def _read_item(resource: Resource, body: bytes, head: Head, context: Context) -> Iterator[Content]:
    """A run or a step, and what it holds of others: those are not of it, and its body is what is left."""
    inner: list[Content] = []
    # Most objects by far say once what they are, and have no field for steps or runs, in whatever spelling.
    if body.count(b"thread.run") > 1 or any(sign in body for sign in _HELD_SIGNS):
        fields = fields_of(body)
        is_run = resource == "runs"
        thread_id = text_or_none(head.thread_id) or context.thread_id
        run_id = text_or_none(head.id if is_run else head.run_id) or context.run_id
        within = _inside(context, "thread.run" if is_run else None, thread_id=thread_id, run_id=run_id)
        inner = _take_held(fields, _ITEM_NAMES[resource], within)
        body = join_raw(fields) if inner else body
    yield from read_owned(resource, body, head, context)
    yield from inner


def _read_successor(body: bytes, head: Head, context: Context) -> Iterator[Content]:
    """A response, a turn or what stands around them, and what it holds of others, whose body is not of it."""
    inner: list[Content] = []
    known = names_of(head)
    # Most objects by far say once what they are.
    if known is not None and (sum(body.count(sign) for sign in _RUN_SIGNS) > 1 or _holds_items(body, head)):
        fields = fields_of(body)
        own_thread = text_or_none(head.id if head.object == SESSION else head.session_id)
        run_id = text_or_none(head.id) if head.object == TURN else None
        within = _inside(context, head.object, thread_id=own_thread or context.thread_id, run_id=run_id)
        inner = _take_held(fields, known, within)
        body = join_raw(fields) if inner else body
    yield from _read_within(read_successor(body, head, context))
    yield from inner


def _take_held(fields: dict[str, Raw], known: frozenset[str], within: Context) -> list[Content]:
    """What fields that are not an object's own hold of others; those that hold some go from `fields`."""
    inner: list[Content] = []
    for name, raw in list(fields.items()):
        if own_name(name, known) is None and (found := list(_search(name, raw, within))):
            inner += found
            del fields[name]
    return inner


def _holds_items(body: bytes, head: Head) -> bool:
    return head.object in (SESSION, TURN) and b"_call" in body


def _read_wrapper(body: bytes, head: Head, context: Context) -> Iterator[Content]:
    """An object that is neither run nor step: whatever is in it."""
    is_other = is_other_object(head)
    if is_other:
        yield LeftOut(context.where)
    # What a message says is no object, whatever it looks like.
    is_looked_into = not is_other or head.object in _HOLDERS or any(sign in body for sign in _OWN_OBJECTS)
    fields = fields_of(body) if is_looked_into and _MARKS.search(body) else {}
    found = list(_read_fields(fields, head, context))
    yield from found
    if is_other or found or context.is_search:
        return
    names = {snake_case(name) for name in (fields or fields_of(body))}
    if is_error(head) and context.in_list:
        yield Unrecognised(context.where, "an error where an item of the list was to be")
    elif is_error(head) or is_exchange(head) or (names & _LOG_MARKS and b"thread.run" not in body):
        yield LeftOut(context.where)
    else:
        yield Unrecognised(context.where, "neither a run nor a step")


def _read_fields(fields: dict[str, Raw], head: Head, context: Context) -> Iterator[Content]:
    """What the fields of a wrapper hold; a run or a thread among them tells whose the others are."""
    near = {
        snake_case(name): read_head(bytes(raw), is_owned=context.thread_id is not None)
        for name, raw in fields.items()
        if snake_case(name) in ("thread", "run") and bytes(raw).startswith(b"{")
    }
    thread, run = near.get("thread"), near.get("run")
    own_thread = head.id if head.object in ("thread", "conversation") else head.thread_id
    within = _inside(
        context,
        head.object,
        thread_id=text_or_none(own_thread)
        or (thread and text_or_none(thread.id))
        or (run and text_or_none(run.thread_id))
        or context.thread_id,
        run_id=text_or_none(head.run_id) or (run and text_or_none(run.id)) or context.run_id,
    )
    for name, raw in fields.items():
        yield from _search(name, raw, within)


def _inside(context: Context, holder: object, *, thread_id: str | None, run_id: str | None) -> Context:
    """What is known of what stands inside an object of some kind, of this thread and run."""
    known = replace(context, thread_id=thread_id, run_id=run_id, resource=None, is_recorded=False, is_asked=False)
    return replace(known, held_in=holder if isinstance(holder, str) else None)


def _search(name: str, raw: Raw, context: Context) -> Iterator[Content]:
    """Runs and steps in a field that may hold some; what is neither is no matter here."""
    body = bytes(raw)
    if body[:1] not in (b"{", b"[", b'"') or not _MARKS.search(body):
        named = _LISTS.get(snake_case(name))
        if named is None or body[:1] != b"[" or body.strip(b"[] \t\r\n") == b"":
            return
    within = replace(
        context,
        where=f"{context.where}.{shown_id(name)}",
        resource=_LISTS.get(snake_case(name)),
        held_in=context.held_in if snake_case(name) in _HELD_LISTS.get(context.held_in or "", ()) else None,
        is_search=True,
        list_place=f"{context.where}.{name}",
    )
    yield from _read_value(body, within)
