"""Read what can be read of a broken record: field by field, with a reject for each value that cannot."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Raw
from msgspec.structs import FieldInfo

from pipeline.protocol.json_text import emptied_members
from pipeline.protocol.spellings import STYLES, read_instant, read_number, read_whole, snake_case, with_own_names
from pipeline.protocol.wire import Instant, Token, Wire

W = TypeVar("W", bound=Wire)


@dataclass(frozen=True)
class Reject:
    """One value that could not be read: where in its item (`$` is the item), why, and its text as sent."""

    json_path: str
    reason: str
    found: str


@dataclass(frozen=True)
class _Parts:
    """What a field can hold besides texts: a struct, a list of structs, a whole number, an instant or a number."""

    struct: type[Wire] | None
    item: type[Wire] | None
    read: Callable[[object], tuple[object, str]] | None


# What a note of an instant is called: it tells the unit that it came in, as for milliseconds.
_UNIT_NOTES = frozenset({"iso", "us", "ns"})
# Of servers that number what they have.
_DIGITS = re.compile(rb"-?[0-9]{1,40}")
_NAMED = ("status", "type")
_UNIT, _SPELLINGS = "timestamp_unit", "spellings"


def salvage(raw: bytes, kind: type[W], *, path: str = "$", notes: Iterable[str] = ()) -> tuple[W | None, list[Reject]]:
    """An object of `kind` with every field that could be read, and what could not.

    Names and values in another spelling of the protocol are read as well. What was, and `notes` of the caller, stand in
    `unknown`, as do fields that `kind` does not have. The object is None if it is no JSON object or a field that it
    cannot do without (the id) is unusable.
    """
    found = set(notes)
    item, rejects = _salvage(raw, kind, path, found)
    if item is not None and found:
        units = found & _UNIT_NOTES
        said = {_UNIT: " ".join(sorted(units))} if units else {}
        spelled = {_SPELLINGS: sorted(found - units)} if found - units else {}
        told = {name: Raw(msgspec.json.encode(value)) for name, value in {**said, **spelled}.items()}
        item = msgspec.structs.replace(item, unknown={**told, **(item.unknown or {})})
    return item, rejects


def find_emptied(raw: bytes, path: str) -> list[Reject]:
    """A reject for each member of an object that stands in it twice, the last time empty: what it said before."""
    return [
        Reject(f"{path}.{name}", "it stands twice, the last time empty", json.dumps(value))
        for name, value in emptied_members(raw).items()
    ]


def _salvage(raw: bytes, kind: type[W], path: str, notes: set[str]) -> tuple[W | None, list[Reject]]:
    try:
        sent = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.DecodeError as error:
        return None, [_reject(path, error, raw)]
    texts, renamed = with_own_names(sent, _names(kind))
    notes |= renamed
    values: dict[str, Any] = {}
    rejects: list[Reject] = []
    for info in _fields(kind).values():
        if info.encode_name in texts:
            value, faults = _read_field(bytes(texts.pop(info.encode_name)), info, f"{path}.{info.name}", notes)
            rejects += faults
            if value is not NODEFAULT:
                values[info.name] = value
    if renamed & STYLES:
        # SDKs that write names in their own style do the same with the states and types that they know.
        values |= {name: snake_case(text) for name in _NAMED if isinstance(text := values.get(name), str)}
    missing = [info.name for info in _fields(kind).values() if info.required and info.name not in values]
    if missing:
        return None, [*rejects, Reject(path, f"it has no usable {missing[0]}", _text(raw))]
    return kind(**values, unknown=dict(texts) or None), rejects


def _read_field(raw: bytes, info: FieldInfo, path: str, notes: set[str]) -> tuple[Any, list[Reject]]:
    """The field's value, or NODEFAULT where nothing of it could be read."""
    try:
        return msgspec.json.decode(raw, type=info.type), []
    except msgspec.DecodeError as error:
        parts = _parts(info.type)
        if _is_id(info.name) and _DIGITS.fullmatch(raw):
            notes.add("number as id")
            return raw.decode(), []
        if parts.read is not None and (found := _read_spelled(raw, info, parts.read, notes)) is not NODEFAULT:
            return found, []
        if (parts.struct or parts.item) and (inner := _json_in_text(raw)):
            notes.add("JSON as text")
            return _read_field(inner, info, path, notes)
        if parts.struct is not None and raw.startswith(b"{"):
            value, rejects = _salvage(raw, parts.struct, path, notes)
            return (NODEFAULT if value is None else value), rejects
        if parts.item is not None and raw.startswith(b"["):
            return _salvage_items(raw, parts.item, path, notes)
        return NODEFAULT, [_reject(path, error, raw)]


def _is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id")


def _read_spelled(raw: bytes, info: FieldInfo, read: Callable[[object], tuple[object, str]], notes: set[str]) -> Any:
    """A number or an instant in another spelling, or NODEFAULT."""
    try:
        value, how = read(msgspec.json.decode(raw))
        value = msgspec.convert(value, type=info.type)
    except (ValueError, OverflowError):
        return NODEFAULT
    notes.add(how)
    return value


def _json_in_text(raw: bytes) -> bytes | None:
    """The object or list that a text holds: data bases give their JSON columns so."""
    if not raw.startswith((b'"{', b'"[', b'"\\n', b'" ')):
        return None
    try:
        inner = msgspec.json.decode(raw, type=str).strip().encode()
        msgspec.json.decode(inner, type=Raw)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return inner if inner.startswith((b"{", b"[")) else None


def _salvage_items(raw: bytes, kind: type[Wire], path: str, notes: set[str]) -> tuple[Any, list[Reject]]:
    values: list[Wire] = []
    rejects: list[Reject] = []
    try:
        texts = msgspec.json.decode(raw, type=list[Raw])
    except msgspec.DecodeError as error:
        return NODEFAULT, [_reject(path, error, raw)]
    for index, text in enumerate(texts):
        value, faults = _salvage(bytes(text), kind, f"{path}[{index}]", notes)
        rejects += faults
        # An item that is lost keeps its place: the calls after it keep their call_index.
        values.append(kind() if value is None else value)
    return values, rejects


@cache
def _fields(kind: type[Wire]) -> dict[str, FieldInfo]:
    return {info.name: info for info in msgspec.structs.fields(kind) if info.name != "unknown"}


@cache
def _names(kind: type[Wire]) -> frozenset[str]:
    return frozenset(info.encode_name for info in _fields(kind).values())


@cache
def _parts(annotation: Any) -> _Parts:
    struct = item = read = None
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, Wire):
            struct = option
        elif get_origin(option) is list:
            (inner,) = get_args(option)
            item = inner if isinstance(inner, type) and issubclass(inner, Wire) else None
        read = _READERS.get(option, read)
    return _Parts(struct, item, read)


_READERS: dict[Any, Callable[[object], tuple[object, str]]] = {
    Token: read_whole,
    Instant: read_instant,
    float: read_number,
}


def _options(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [option for option in get_args(annotation) if option is not NoneType]
    return [annotation]


def _reject(path: str, error: msgspec.DecodeError, raw: bytes) -> Reject:
    message, _, inner_path = str(error).partition(" - at `$")
    return Reject(path + inner_path.rstrip("`"), message, _text(raw))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
