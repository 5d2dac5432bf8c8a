"""JSON as text: building objects from pieces that were never decoded, and decoding what servers send."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

T = TypeVar("T")

_NULL = Raw(b"null")
# One escape at a time, so that a backslash that is itself escaped is never taken for the start of one.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)", re.DOTALL)
_LONE_SURROGATE_BYTES = 6
# Also one that the body ends in: each sign is looked at once, whatever the body is.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_NUMBER = re.compile(_STRING.pattern + rb"|-?Infinity\b|\bNaN\b", re.DOTALL)
# Too large for a float: decoders refuse the whole body.
_HUGE_NUMBER = re.compile(_STRING.pattern + rb"|-?[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]{3,}", re.DOTALL)
# What it takes to hold them apart stays below some hundred MB; no list or archive that a person keeps has so many.
MOST_VALUES = 5_000_000


def raw_text(raw: Raw) -> str:
    """The JSON text of a value as sent; bytes that are not UTF-8 are replaced."""
    return str(raw, "utf-8", "replace")


def text_of(value: Any) -> str | None:
    """A free-form value as a column of text: strings as they are, null as None, anything else as JSON text."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, Raw):
        return msgspec.json.encode(value).decode()
    if value == _NULL:
        return None
    return msgspec.json.decode(value, type=str) if bytes(value).startswith(b'"') else raw_text(value)


def join_fields(fields: Mapping[str, Raw | str]) -> str | None:
    """A JSON object of fields given as JSON text; None if there are none."""
    if not fields:
        return None
    pairs = [_key(name) + (text.encode() if isinstance(text, str) else bytes(text)) for name, text in fields.items()]
    return (b"{" + b",".join(pairs) + b"}").decode("utf-8", errors="replace")


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    return msgspec.json.encode(name) + b":"


def repair_unicode(body: bytes) -> bytes:
    """The body with U+FFFD in place of bytes that are not UTF-8 and of escaped surrogates without their pair."""
    text = body.decode("utf-8", errors="replace").encode()
    return _ESCAPE.sub(_repair_escape, text)


def repair_numbers(body: bytes) -> bytes:
    """The body with null in place of NaN and Infinity, which JSON does not have: Python and DuckDB write them."""
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    return _NO_NUMBER.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", body)


# Texts of the same length that no body holds that is UTF-8.
_MASKS = ((b'"\xff"', b"NaN"), (b'"\xffinfin"', b"Infinity"), (b'"\xff-infin"', b"-Infinity"))


def mask_numbers(body: bytes) -> bytes:
    """The body with texts in place of NaN and Infinity, so that it can be taken apart; `unmask_numbers` undoes it."""
    if (b"NaN" not in body and b"Infinity" not in body) or any(mask in body for mask, _ in _MASKS):
        return body
    masks = {number: mask for mask, number in _MASKS}
    return _NO_NUMBER.sub(lambda match: masks.get(match[0], match[0]), body)


def unmask_numbers(body: bytes) -> bytes:
    """A piece of a masked body as it was sent."""
    if b"\xff" in body:
        for mask, number in _MASKS:
            body = body.replace(mask, number)
    return body


def repair_json(body: bytes) -> bytes:
    """The body with both repaired: text that is not Unicode and numbers that JSON does not have."""
    return repair_numbers(repair_unicode(body))


def drop_huge_numbers(body: bytes) -> bytes:
    """The body with null in place of numbers that no float holds: for heads only, as the values themselves are lost."""
    return _HUGE_NUMBER.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", body)


def has_too_many_values(body: bytes) -> bool:
    """Whether there are more than `MOST_VALUES` values in a JSON document; what its texts hold does not count."""
    # A value and a comma take two bytes, so that an ordinary body is not looked through.
    if len(body) <= 2 * MOST_VALUES or body.count(b",") < MOST_VALUES:
        return False
    commas = start = 0
    for text in _STRING.finditer(body):
        commas += body.count(b",", start, text.start())
        if commas >= MOST_VALUES:
            return True
        start = text.end()
    return commas + body.count(b",", start) >= MOST_VALUES


def _repair_escape(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    lone = len(escape) == _LONE_SURROGATE_BYTES and escape[2:3] in b"dD" and escape[3:4] in b"89abcdefABCDEF"
    return rb"\ufffd" if lone else escape


def decode_with(kind: type[T], what: str) -> Callable[[bytes], T]:
    """A function that decodes JSON of that shape, else ValueError saying that it is not `what`."""
    decoder = msgspec.json.Decoder(kind)

    def decode(body: bytes) -> T:
        if has_too_many_values(body):
            raise ValueError(f"the body is not {what} (more than {MOST_VALUES:,} values)")
        try:
            return decoder.decode(body)
        except (ValueError, RecursionError):
            pass
        try:
            return decoder.decode(drop_huge_numbers(repair_json(body)))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the body is not {what} ({error})") from None

    return decode
