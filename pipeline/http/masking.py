"""Our own keys and tokens in what a server sends: gone before anybody sees it, and so before it lands."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

MASK = "[secret]"
# What is shorter, such as the `ollama` that servers without keys are given, can be a word of any text: it is masked
# only where it stands as a key. So is what could be a number.
_LEAST_LENGTH = 12
_HAS_LETTER = re.compile("[A-Za-z]")
# What some writers of JSON escape though they need not: System.Text.Json, PHP, Go.
_ESCAPED = re.compile(r"[+/=&<>'\"\\]")


def mask_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """The body with a mark in place of each secret, however its JSON or a URL in it spells it."""
    for secret in sorted(secrets, key=len, reverse=True):
        for spelling in _spellings(secret):
            if spelling in body:
                body = body.replace(spelling, _bearer(MASK) if spelling.startswith(b"Bearer ") else MASK.encode())
    return body


def mask_text(text: str, secrets: Iterable[str]) -> str:
    """The same for a header's text."""
    return mask_body(text.encode("utf-8", errors="surrogateescape"), secrets).decode("utf-8", errors="surrogateescape")


@lru_cache(maxsize=64)
def _spellings(secret: str) -> tuple[bytes, ...]:
    if len(secret) < _LEAST_LENGTH or not _HAS_LETTER.search(secret):
        return (_bearer(secret),)
    escaped = secret.replace("\\", r"\\").replace('"', r"\"")
    spelled = (
        secret,
        escaped,
        escaped.replace("/", r"\/"),
        _ESCAPED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", secret),
        _ESCAPED.sub(lambda sign: f"\\u{ord(sign[0]):04X}", secret),
        _ESCAPED.sub(lambda sign: sign[0] if sign[0] in "/=" else f"\\u{ord(sign[0]):04x}", secret),
        _ESCAPED.sub(lambda sign: sign[0] if sign[0] in "/=" else f"\\u{ord(sign[0]):04X}", secret),
        quote(secret, safe=""),
        quote(secret),
    )
    return tuple(dict.fromkeys(text.encode() for text in spelled))


def _bearer(secret: str) -> bytes:
    return f"Bearer {secret}".encode()
