"""Ciphertext, images and secrets: in the tables stands how long they are, and which; raw parts have them."""

import hashlib
import re

import msgspec
from msgspec import Raw

# Texts up to this length stay as they are.
LONGEST_SIGNS = 1024
_NAMED = (
    rb'"(?:encrypted_content|image_url|b64_json|partial_image_b64|result|data|file_data)"\s*:\s*"([^"\\]{%d,})"'
    % (LONGEST_SIGNS + 1)
)
_BLOB = re.compile(_NAMED + rb'|"(data:[^"\\]{%d,})"' % LONGEST_SIGNS)
# Of base64, whose alphabet has no space: a text of words is none.
_OPAQUE = re.compile(rb"[A-Za-z0-9+/=_:;,.%-]+")
# Whoever has the link can act for the user.
_SECRET = re.compile(rb'"(consent_link)"\s*:\s*"([^"\\]*)"')


def capped(name: str, raw: Raw) -> Raw:
    """A field as sent, but for what nobody reads in a table: `{"sha256": .., "size_bytes": ..}` stands in its place."""
    body = bytes(raw)
    if len(body) <= LONGEST_SIGNS and b"consent_link" not in body and name != "consent_link":
        return raw
    key = msgspec.json.encode(name) + b":"
    found = _SECRET.sub(lambda match: b'"consent_link":' + _of(match[2]), _BLOB.sub(_cap, key + body))
    return Raw(found[len(key) :])


def _cap(match: re.Match[bytes]) -> bytes:
    text = match[1] or match[2]
    if _OPAQUE.fullmatch(text) is None:
        return match[0]
    start = match[0][: match[0].index(b'"' + text)]
    return start + _of(text)


def _of(text: bytes) -> bytes:
    return msgspec.json.encode({"sha256": hashlib.sha256(text).hexdigest(), "size_bytes": len(text)})
