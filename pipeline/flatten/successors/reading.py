"""Pages of walks over responses and turns: each object as what it says it is; what cannot be read becomes rejects."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import asdict

from pipeline.flatten.items import WHOLE_PAGE, RejectRows
from pipeline.flatten.salvage import Reject, find_emptied, salvage
from pipeline.flatten.successors.joining import Item, item_of_fields
from pipeline.protocol.json_text import decode_fields, repair_json, repair_numbers
from pipeline.protocol.pages import LandedWalk, Page
from pipeline.protocol.spellings import in_own_style
from pipeline.protocol.successors import (
    AROUND_OBJECTS,
    RESPONSE,
    SESSION,
    TURN,
    Response,
    Turn,
    conversation_of,
    text_field,
    thread_of,
)

_NULL = Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DECODERS: dict[type, Any] = {Response: msgspec.json.Decoder(Response), Turn: msgspec.json.Decoder(Turn)}
_split_list = msgspec.json.Decoder(list[Raw]).decode
_FOREIGN = "it belongs to another list than was asked for: it is not kept"


class _Texts(Struct, gc=False):
    """What is asked of most items, where it is a text."""

    type: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    status: str | None = None
    turn_id: str | None = None


class _PageOfFields(Struct, gc=False):
    data: list[dict[str, Raw]]


class _PageOfTexts(Struct, gc=False):
    data: list[_Texts]


_decode_page_of_fields = msgspec.json.Decoder(_PageOfFields).decode
_decode_page_of_texts = msgspec.json.Decoder(_PageOfTexts).decode


@dataclass(slots=True)
class FoundRun:
    """A response or a turn, with where it stood; `batch` is what the line of a batch output says beside it."""

    object: Response | Turn
    page: Page
    batch: dict[str, Raw] | None = None


@dataclass(slots=True)
class Contents:
    """What the pages of one walk hold."""

    runs: list[FoundRun] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    session: dict[str, Raw] | None = None


def read_contents(walk: LandedWalk, rejects: RejectRows) -> Contents:
    """Everything that a walk's pages hold; what could not be read of it is added to `rejects`."""
    found = Contents()
    for page in walk.pages:
        turn_id = _turn_asked_of(walk, page)
        if turn_id is not None and (items := _plain_items(page, turn_id)) is not None:
            found.items += items
            continue
        for index, raw, path in _objects_of(walk, page, rejects):
            _take(found, walk, page, (index, raw, path), rejects)
    return found


def _plain_items(page: Page, turn_id: str) -> list[Item] | None:
    """The items of a turn, taken apart all together; None if anything about one of them is to be looked at."""
    try:
        if not page.body.isascii():
            page.body.decode()
        fields, texts = _decode_page_of_fields(page.body).data, _decode_page_of_texts(page.body).data
    except _UNREADABLE:
        return None
    items: list[Item] = []
    for sent, own in zip(fields, texts, strict=True):
        is_plain = own.type and own.turn_id in (None, "", turn_id) and "object" not in sent
        if not is_plain or "custom_id" in sent or in_own_style(sent) is not sent:
            return None
        kept = {name: raw for name, raw in sent.items() if raw != _NULL}
        items.append(Item(own.type or "", kept, turn_id, page.page_index, asdict(own)))
    return items


def _objects_of(walk: LandedWalk, page: Page, rejects: RejectRows) -> Iterator[tuple[int, Raw, str]]:
    """The objects of a page, which is a list or one of them: their number, their text, their path."""
    body = repair_numbers(page.body)
    try:
        if not body.isascii():
            body.decode()
        fields = decode_fields(body)
    except _UNREADABLE as error:
        try:
            fields = msgspec.json.decode(repair_json(page.body), type=dict[str, Raw])
            reject = Reject("$", "text that is not Unicode: replaced by U+FFFD, see the raw page", "")
        except _UNREADABLE:
            fields = {}
            reject = Reject("$", str(error), page.body.decode("utf-8", errors="replace"))
        rejects.add(walk, page, WHOLE_PAGE, None, [reject])
        if fields:
            body = repair_json(page.body)
    if "data" not in fields or not bytes(fields["data"]).startswith(b"["):
        if fields:
            yield 0, Raw(body), "$"
        return
    for index, raw in enumerate(_split_list(fields["data"])):
        yield index, raw, f"$.data[{index}]"


def _take(found: Contents, walk: LandedWalk, page: Page, place: tuple[int, Raw, str], rejects: RejectRows) -> None:
    index, raw, path = place
    try:
        sent = decode_fields(raw)
    except _UNREADABLE as error:
        rejects.add(walk, page, index, None, [Reject(path, str(error), str(raw, "utf-8", "replace"))])
        return
    batch: dict[str, Raw] | None = None
    fields = in_own_style(sent)
    if (inner := batch_body(fields)) is not None:
        batch = {name: fields[name] for name in ("id", "custom_id") if name in fields}
        sent = decode_fields(inner)
        fields, raw, path = in_own_style(sent), inner, f"{path}.response.body"
    kind = text_field(fields.get("object"))
    if kind is None and is_bare_response(fields):
        kind = RESPONSE
    if kind in (RESPONSE, TURN):
        named = text_field(fields.get("session_id")) if kind == TURN else conversation_of(fields.get("conversation"))
        if named not in (None, walk.certificate.thread_id):
            at = "session_id" if kind == TURN else "conversation.id"
            rejects.add(walk, page, index, text_field(fields.get("id")), [Reject(f"{path}.{at}", _FOREIGN, named)])
            return
        own, lost = _decode(raw, Response if kind == RESPONSE else Turn, path)
        rejects.add(walk, page, index, None if own is None else own.id, lost)
        if own is not None:
            found.runs.append(FoundRun(own, page, batch))
    elif kind in AROUND_OBJECTS:
        if kind == SESSION and thread_of(fields) == walk.certificate.thread_id:
            found.session = fields
    elif (item := item_of_fields(sent)).type:
        item.turn_id = _turn_asked_of(walk, page) or item.text("turn_id")
        if (named := item.text("turn_id")) not in (None, item.turn_id):
            rejects.add(walk, page, index, item.text("id"), [Reject(f"{path}.turn_id", _FOREIGN, named or "")])
            return
        item.page_index = page.page_index
        found.items.append(item)
    else:
        rejects.add(walk, page, index, None, [Reject(path, "neither a response, a turn nor an item", raw_shown(raw))])


def _turn_asked_of(walk: LandedWalk, page: Page) -> str | None:
    """The turn whose items the page is a list of; its items need not repeat it."""
    return page.origin if walk.certificate.protocol == "agents" and walk.certificate.verdict != "imported" else None


def batch_body(fields: dict[str, Raw]) -> Raw | None:
    """The body that a line of a batch output has, if this is one with an object in it."""
    if "custom_id" not in fields or "response" not in fields or not bytes(fields["response"]).startswith(b"{"):
        return None
    body = in_own_style(msgspec.json.decode(fields["response"], type=dict[str, Raw])).get("body")
    return body if body is not None and bytes(body).startswith(b"{") else None


def is_bare_response(fields: dict[str, Raw]) -> bool:
    """Whether this is a response that was dumped without what is always the same: it has an output, and no type."""
    return "type" not in fields and "id" in fields and bytes(fields.get("output", b"")).startswith(b"[")


def raw_shown(raw: Raw) -> str:
    """What was found, for a reject."""
    return str(raw, "utf-8", "replace")


def _decode(raw: Raw, kind: type[Any], path: str) -> tuple[Any, list[Reject]]:
    try:
        own = _DECODERS[kind].decode(raw)
        is_short = own.status == "completed" and (own.usage is None or (kind is Response and not own.output))
        twice = is_short and any(bytes(raw).count(name) > 1 for name in (b'"usage"', b'"output"'))
        return own, find_emptied(bytes(raw), path) if twice else []
    except _UNREADABLE:
        return salvage(bytes(raw), kind, path=path)
