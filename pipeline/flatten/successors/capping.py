"""Ciphertext, images and secrets: in the tables stands how long they are, and which; raw parts have them."""

import hashlib
import re

import msgspec
from msgspec import Raw

from pipeline.protocol.json_text import text_of

# Texts up to this length stay as they are.
LONGEST_SIGNS = 1024
_LINK = "consent_link"
_NAMES = ("encrypted_content", "image_url", "b64_json", "partial_image_b64", "result", "data", "file_data")
_CAPPED = frozenset({_LINK, *_NAMES})
# A quote behind a backslash begins no text: it is a sign of the one around it.
_BLOB = re.compile(
    rb'"(?:%b)"\s*:\s*"([^"\\]{%d,})"|(?<!\\)"(data:[^"\\]{%d,})"'
    % ("|".join(_NAMES).encode(), LONGEST_SIGNS + 1, LONGEST_SIGNS)
)
# Of base64, whose alphabet has no space: a text of words is none.
_OPAQUE = re.compile(rb"[A-Za-z0-9+/=_:;,.%-]+")
# Whoever has the link can act for the user.
_SECRET = re.compile(rb'"%b"\s*:\s*"([^"\\]*)"' % _LINK.encode())


def capped(name: str, raw: Raw) -> Raw:
    """A field as sent, but for what nobody reads in a table: `{"sha256": .., "size_bytes": ..}` stands in its place."""
    body = bytes(raw)
    # Nothing has a name inside of a text: most fields are texts, and need not be looked through.
    is_plain = name not in _CAPPED and body.startswith(b'"') and not body.startswith(b'"data:')
    if is_plain or (len(body) <= LONGEST_SIGNS and name != _LINK and _LINK.encode() not in body):
        return raw
    key = msgspec.json.encode(name) + b":"
    found = _SECRET.sub(lambda match: b'"consent_link":' + _of(match[1]), _BLOB.sub(_cap, key + body))
    return Raw(found[len(key) :])


def take_text(fields: dict[str, Raw], *names: str) -> str | None:
    """The first of these fields that is there, as text and no longer among them; what cannot be text stays."""
    for name in names:
        if (raw := fields.get(name)) is None:
            continue
        try:
            text = text_of(capped(name, raw))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        del fields[name]
        return text
    return None


def _cap(match: re.Match[bytes]) -> bytes:
    text = match[1] or match[2]
    if _OPAQUE.fullmatch(text) is None:
        return match[0]
    start = match[0][: match[0].index(b'"' + text)]
    return start + _of(text)


def _of(text: bytes) -> bytes:
    return msgspec.json.encode({"sha256": hashlib.sha256(text).hexdigest(), "size_bytes": len(text)})
