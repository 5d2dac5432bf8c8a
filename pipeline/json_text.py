"""JSON as text: building objects from pieces that were never decoded."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

_NULL = Raw(b"null")
# One escape at a time, so that a backslash that is itself escaped is never taken for the start of one.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)", re.DOTALL)
_LONE_SURROGATE_BYTES = 6


def raw_text(raw: Raw) -> str:
    """The JSON text of a value as sent; bytes that are not UTF-8 are replaced."""
    return bytes(raw).decode("utf-8", errors="replace")


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


def _repair_escape(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    lone = len(escape) == _LONE_SURROGATE_BYTES and escape[2:3] in b"dD" and escape[3:4] in b"89abcdefABCDEF"
    return rb"\ufffd" if lone else escape
