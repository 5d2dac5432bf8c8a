"""What stands below a call in rows of its own: outputs of the code interpreter and hits of a file search."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from pipeline.flatten.successors.capping import capped, take_text
from pipeline.protocol.json_text import raw_text
from pipeline.protocol.wire import Free

_NULL = b"null"
# Where one may be, it is looked for field by field.
_DATA_URL = b'"data:'
_decode_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode


class _Output(Struct, gc=False, forbid_unknown_fields=True):
    type: str | None = None
    logs: str | None = None
    file_id: str | None = None
    url: Free = UNSET


class _Hit(Struct, gc=False, forbid_unknown_fields=True):
    file_id: str | None = None
    filename: str | None = None
    score: float | None = None
    text: Free = UNSET
    attributes: Free = UNSET


_decode_outputs = msgspec.json.Decoder(list[_Output]).decode
_decode_hits = msgspec.json.Decoder(list[_Hit]).decode
_Kept = dict[str, Raw | str]


class Below(NamedTuple):
    """Rows below a call, without their keys; of each also what has no column."""

    rows: list[tuple[Any, ...]]
    kept: list[_Kept]


def read_outputs(raw: Raw) -> Below | None:
    """Type, logs and file of each output; None if this is no list of objects."""
    return _read(raw, _plain_outputs, _output_of)


def read_hits(raw: Raw) -> Below | None:
    """File, name, score, content and attributes of each hit; None if this is no list of objects."""
    return _read(raw, _plain_hits, _hit_of)


def _read(
    raw: Raw, plain: Callable[[Raw], Below], of_fields: Callable[[dict[str, Raw]], tuple[Any, ...]]
) -> Below | None:
    """As structs, as nearly all of them come; field by field where these do not fit."""
    body = bytes(raw)
    try:
        if _DATA_URL not in body:
            return plain(raw)
    except msgspec.DecodeError:
        pass
    try:
        sent = _decode_objects(body)
    except msgspec.DecodeError:
        return None
    items = [{name: value for name, value in item.items() if bytes(value) != _NULL} for item in sent]
    rows = [of_fields(item) for item in items]
    # What became a column is not in the items any more.
    return Below(rows, [{name: capped(name, value) for name, value in item.items()} for item in items])


def _plain_outputs(raw: Raw) -> Below:
    outputs = _decode_outputs(raw)
    return Below(
        [(output.type, output.logs, output.file_id) for output in outputs],
        [{"url": capped("url", output.url)} if _is_said(output.url) else {} for output in outputs],
    )


def _output_of(item: dict[str, Raw]) -> tuple[Any, ...]:
    return take_text(item, "type"), take_text(item, "logs"), take_text(item, "file_id")


def _plain_hits(raw: Raw) -> Below:
    hits = _decode_hits(raw)
    rows = [
        (
            hit.file_id,
            hit.filename,
            hit.score,
            _content(hit.text) if _is_said(hit.text) else None,
            raw_text(hit.attributes) if _is_said(hit.attributes) else None,
        )
        for hit in hits
    ]
    return Below(rows, [{} for _ in hits])


def _hit_of(item: dict[str, Raw]) -> tuple[Any, ...]:
    text, attributes = item.pop("text", None), item.pop("attributes", None)
    file_id, name = take_text(item, "file_id"), take_text(item, "filename", "file_name")
    is_score = bytes(item.get("score", b"?"))[:1] in b"-0123456789"
    return (
        file_id,
        name,
        float(bytes(item.pop("score"))) if is_score else None,
        None if text is None else _content(text),
        None if attributes is None else raw_text(attributes),
    )


def _content(text: Raw) -> str:
    """As steps of assistants have it: a list of parts."""
    return f'[{{"type":"text","text":{raw_text(text)}}}]'


def _is_said(raw: Free) -> TypeGuard[Raw]:
    return not isinstance(raw, UnsetType) and bytes(raw) != _NULL
