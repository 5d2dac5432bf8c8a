"""Rows as JSON: numbers as numbers, exact; what JSON has no value for as text."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
# What the encoder takes as it is.
_PLAIN = (bool, int, str)


def json_rows(
    columns: Mapping[str, Sequence[Any]], *, documents: Collection[str] = (), decimal_strings: bool = False
) -> Iterator[bytes]:
    """An object for each row. `documents` are columns of JSON; with `decimal_strings` exact numbers are texts."""
    encoder = msgspec.json.Encoder()
    plain = {
        name: _documents(values) if name in documents else _values(values, decimal_strings=decimal_strings)
        for name, values in columns.items()
    }
    for row in zip(*plain.values(), strict=True):
        yield encoder.encode(dict(zip(plain, row, strict=True)))


def json_text(value: Any) -> str:
    """One value as JSON."""
    return msgspec.json.encode(_plain(value, decimal_strings=True)).decode()


def _values(values: Sequence[Any], *, decimal_strings: bool) -> Sequence[Any]:
    if all(value is None or isinstance(value, _PLAIN) for value in values):
        return values
    return [_plain(value, decimal_strings=decimal_strings) for value in values]


def _documents(values: Sequence[str | None]) -> list[Any]:
    return [None if value is None else _document(value) for value in values]


def _document(text: str) -> Any:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    return msgspec.Raw(text.encode())


def _plain(value: Any, *, decimal_strings: bool) -> Any:
    """A value as the encoder takes it: exact numbers as they are, and what is no number as text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, decimal_strings=decimal_strings) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, decimal_strings=decimal_strings) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_FINITE[str(value)]
    if isinstance(value, Decimal):
        return f"{value:f}" if decimal_strings else msgspec.Raw(_number(value))
    if isinstance(value, datetime):
        text = value.isoformat(sep="T" if value.tzinfo else " ")
        return text if value.tzinfo or not value.microsecond else text.rstrip("0")
    return value if value is None or isinstance(value, _PLAIN) else str(value)


def _number(value: Decimal) -> bytes:
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode()
