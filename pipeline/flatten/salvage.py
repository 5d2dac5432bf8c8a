"""Read what can be read of a broken record: field by field, with a reject for each value that cannot."""

from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Raw
from msgspec.structs import FieldInfo

from pipeline.protocol.wire import Wire

W = TypeVar("W", bound=Wire)


@dataclass(frozen=True)
class Reject:
    """One value that could not be read: where in its item (`$` is the item), why, and its text as sent."""

    json_path: str
    reason: str
    found: str


@dataclass(frozen=True)
class _Parts:
    """What a field can hold besides plain values: a struct, or a list of structs."""

    struct: type[Wire] | None
    item: type[Wire] | None


def salvage(raw: bytes, kind: type[W], *, path: str = "$") -> tuple[W | None, list[Reject]]:
    """An object of `kind` with every field that could be read, and what could not.

    Fields that `kind` does not have are kept in `unknown`. The object is None if it is no JSON object or a
    field that it cannot do without (the id) is unusable.
    """
    try:
        texts = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.DecodeError as error:
        return None, [_reject(path, error, raw)]
    values: dict[str, Any] = {}
    rejects: list[Reject] = []
    for info in _fields(kind).values():
        if info.encode_name in texts:
            value, faults = _read_field(bytes(texts.pop(info.encode_name)), info, f"{path}.{info.name}")
            rejects += faults
            if value is not NODEFAULT:
                values[info.name] = value
    missing = [info.name for info in _fields(kind).values() if info.required and info.name not in values]
    if missing:
        return None, [*rejects, Reject(path, f"it has no usable {missing[0]}", _text(raw))]
    return kind(**values, unknown=dict(texts) or None), rejects


def _read_field(raw: bytes, info: FieldInfo, path: str) -> tuple[Any, list[Reject]]:
    """The field's value, or NODEFAULT where nothing of it could be read."""
    try:
        return msgspec.json.decode(raw, type=info.type), []
    except msgspec.DecodeError as error:
        parts = _parts(info.type)
        if parts.struct is not None and raw.startswith(b"{"):
            value, rejects = salvage(raw, parts.struct, path=path)
            return (NODEFAULT if value is None else value), rejects
        if parts.item is not None and raw.startswith(b"["):
            return _salvage_items(raw, parts.item, path)
        return NODEFAULT, [_reject(path, error, raw)]


def _salvage_items(raw: bytes, kind: type[Wire], path: str) -> tuple[Any, list[Reject]]:
    values: list[Wire] = []
    rejects: list[Reject] = []
    try:
        texts = msgspec.json.decode(raw, type=list[Raw])
    except msgspec.DecodeError as error:
        return NODEFAULT, [_reject(path, error, raw)]
    for index, text in enumerate(texts):
        value, faults = salvage(bytes(text), kind, path=f"{path}[{index}]")
        rejects += faults
        # An item that is lost keeps its place: the calls after it keep their call_index.
        values.append(kind() if value is None else value)
    return values, rejects


@cache
def _fields(kind: type[Wire]) -> dict[str, FieldInfo]:
    return {info.name: info for info in msgspec.structs.fields(kind) if info.name != "unknown"}


@cache
def _parts(annotation: Any) -> _Parts:
    struct = item = None
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, Wire):
            struct = option
        elif get_origin(option) is list:
            (inner,) = get_args(option)
            item = inner if isinstance(inner, type) and issubclass(inner, Wire) else None
    return _Parts(struct, item)


def _options(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for option in get_args(annotation) if option is not NoneType]
    return [annotation]


def _reject(path: str, error: msgspec.DecodeError, raw: bytes) -> Reject:
    message, _, inner_path = str(error).partition(" - at `$")
    return Reject(path + inner_path.rstrip("`"), message, _text(raw))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
