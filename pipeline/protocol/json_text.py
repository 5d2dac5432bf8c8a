"""JSON as text: building objects from pieces that were never decoded, and decoding what servers send."""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

T = TypeVar("T")

# Made once: what is told by its type only is looked into anew at each call.
decode_text = msgspec.json.Decoder(str).decode
decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode

_NULL = Raw(b"null")
# One escape at a time, so that a backslash that is itself escaped is never taken for the start of one.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[\da-fA-F]{4}|.)", re.DOTALL)
_LONE_SURROGATE_BYTES = 6
# Also one that the body ends in: each sign is looked at once, whatever the body is.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_NUMBER = re.compile(_STRING.pattern + rb"|-?Infinity\b|\bNaN\b", re.DOTALL)
# Texts, which are kept, and spaces between values, which are not.
_TEXT_OR_SPACE = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")|[ \t\r\n]++', re.DOTALL)
_LOOSE = re.compile(rb"[ \t\r\n]|\\[u/]")
_PLAIN_ESCAPES = {8: rb"\b", 9: rb"\t", 10: rb"\n", 12: rb"\f", 13: rb"\r", 34: rb"\"", 92: rb"\\"}
_FIRST_PRINTABLE = 32
_REMEMBERED_BYTES = 2**14
# Too large for a float: decoders refuse the whole body.
_HUGE_NUMBER = re.compile(_STRING.pattern + rb"|-?[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]{3,}", re.DOTALL)
# What it takes to hold them apart stays below some hundred MB; no list or archive that a person keeps has so many.
MOST_VALUES = 5_000_000


def plain_json(text: bytes) -> bytes:
    """JSON in the one spelling that columns have, whoever wrote it: no space between values, no needless escape.

    Numbers and the order of members stay as sent, so does half of a surrogate pair.
    """
    if not _LOOSE.search(text):
        return text
    # The tools of an assistant stand in each of its runs.
    return _plain_known(text) if len(text) <= _REMEMBERED_BYTES else _plain(text)


def _plain(text: bytes) -> bytes:
    plain = _TEXT_OR_SPACE.sub(rb"\1", text)
    return _ESCAPE.sub(_plain_escape, plain) if b"\\" in plain else plain


_plain_known = lru_cache(maxsize=256)(_plain)


def raw_text(raw: Raw) -> str:
    """The JSON text of a value, in the one spelling; bytes that are not UTF-8 are replaced."""
    return str(plain_json(bytes(raw)), "utf-8", "replace")


def text_of(value: Any) -> str | None:
    """A free-form value as a column of text: strings as they are, null as None, anything else as JSON text."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, Raw):
        return msgspec.json.encode(value).decode()
    if value == _NULL:
        return None
    return decode_text(value) if bytes(value).startswith(b'"') else raw_text(value)


def join_fields(fields: Mapping[str, Raw | str]) -> str | None:
    """A JSON object of fields given as JSON text (`str`: in the one spelling already); None if there are none."""
    if not fields:
        return None
    pairs = [
        _key(name) + (text.encode() if isinstance(text, str) else plain_json(bytes(text)))
        for name, text in fields.items()
    ]
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


_MASKED_HALF = re.compile(rb"\xff(u[dD][89a-fA-F][0-9a-fA-F]{2})")
# Texts of the same length that no body holds that is UTF-8.
_MASKS = ((b'"\xff"', b"NaN"), (b'"\xffinfin"', b"Infinity"), (b'"\xff-infin"', b"-Infinity"))


def mask_numbers(body: bytes) -> bytes:
    """The body without NaN, Infinity and halves of surrogate pairs, so that it can be taken apart; `unmask_numbers`
    brings them back.
    """
    if any(mask in body for mask, _ in _MASKS) or _MASKED_HALF.search(body):
        return body
    if b"\\ud" in body or b"\\uD" in body:
        body = _ESCAPE.sub(_mask_half, body)
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    masks = {number: mask for mask, number in _MASKS}
    return _NO_NUMBER.sub(lambda match: masks.get(match[0], match[0]), body)


def unmask_numbers(body: bytes) -> bytes:
    """A piece of a masked body as it was sent."""
    if b"\xff" in body:
        body = _MASKED_HALF.sub(rb"\\\1", body)
        for mask, number in _MASKS:
            body = body.replace(mask, number)
    return body


def repair_json(body: bytes) -> bytes:
    """The body with both repaired: text that is not Unicode and numbers that JSON does not have."""
    return repair_numbers(repair_unicode(body))


def drop_huge_numbers(body: bytes) -> bytes:
    """The body with null in place of numbers that no float holds: for heads only, as the values themselves are lost."""
    return _HUGE_NUMBER.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", body)


def emptied_members(body: bytes) -> dict[str, object]:
    """Members of a JSON object that stand in it more than once and are empty the last time, as they were before.

    The last one is the value, for every reader; most have no way to tell. This one does, and takes its time.
    """
    of_objects: list[list[tuple[str, object]]] = []

    def note(pairs: list[tuple[str, object]]) -> dict[str, object]:
        of_objects.append(pairs)
        return dict(pairs)

    try:
        value = json.loads(body.decode("utf-8", errors="replace"), object_pairs_hook=note)
    except (ValueError, RecursionError):
        return {}
    # The outermost object ends last.
    said: dict[str, object] = {}
    for name, member in of_objects[-1] if isinstance(value, dict) else ():
        said[name] = said.get(name) or member
    return {name: member for name, member in said.items() if member and not value[name]}


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


def _plain_escape(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    if escape == rb"\/":
        return b"/"
    if escape[1:2] != b"u":
        return escape
    units = [int(part, 16) for part in escape.decode().split(r"\u")[1:]]
    if (len(units) == 1 and units[0] < _FIRST_PRINTABLE) or units[0] in _PLAIN_ESCAPES:
        return _PLAIN_ESCAPES.get(units[0], rb"\u%04x" % units[0])
    sign = b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be", errors="ignore")
    return sign.encode() or escape


def _repair_escape(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if _is_half(match[0]) else match[0]


def _mask_half(match: re.Match[bytes]) -> bytes:
    return b"\xff" + match[0][1:] if _is_half(match[0]) else match[0]


def _is_half(escape: bytes) -> bool:
    return len(escape) == _LONE_SURROGATE_BYTES and escape[2:3] in b"dD" and escape[3:4] in b"89abcdefABCDEF"


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
            raise ValueError(f"the body is not {what} ({_kind_of(body) or error})") from None

    return decode


def _kind_of(body: bytes) -> str | None:
    """What servers that are not the one that was meant answer."""
    if not body.strip():
        return "it is empty"
    return "it is a web page: a login or another service answers there" if body.lstrip().startswith(b"<") else None
