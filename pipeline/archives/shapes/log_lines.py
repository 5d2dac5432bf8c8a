"""Lines of logs: JSON with words before and behind it."""

import json
import re
from collections.abc import Iterable, Iterator

# Words before the JSON of a line have no quotes: lines of a document that was broken do.
_BEFORE = re.compile(r"(?:\[[^\[\]{}\"']*\]|[^\"'{}\[\]])[^\"'{}]*?(?=[{\[])")
_PLAIN = re.compile(rb"[^\[\]{}\"]+")
# Of places in one line where JSON could begin and does not.
_MOST_STARTS = 50


def read_log_line(line: bytes) -> Iterator[bytes]:
    """The JSON objects and lists in a line that begins with other words; none if it is no such line."""
    text = line.decode("utf-8", errors="surrogateescape")
    match = _BEFORE.match(text)
    at = match.end() if match else len(text)
    decoder = json.JSONDecoder()
    starts_left = _MOST_STARTS
    while at < len(text) and starts_left:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            if text[at] == "{":
                # What follows is a piece of what is broken.
                return
            end, starts_left = at + 1, starts_left - 1
        else:
            if value and isinstance(value, dict | list):
                yield text[at:end].encode("utf-8", errors="surrogateescape")
        starts = [place for sign in "{[" if (place := text.find(sign, end)) >= 0]
        at = min(starts, default=len(text))


def left_of(line: bytes, pieces: Iterable[bytes]) -> bytes:
    """What stands in a line beside these pieces of it, from the first object on."""
    for piece in pieces:
        line = line.replace(piece, b"", 1)
    return line[line.find(b"{") :] if b"{" in line else b""


def is_log_line(line: bytes) -> bool:
    """Whether a line has an object behind other words."""
    return any(found.startswith(b"{") for found in read_log_line(line))


def is_words(line: bytes) -> bool:
    """Whether a line holds nothing that could be of an object: no brackets and no quotes, and more than one value."""
    return _PLAIN.fullmatch(line) is not None and b" " in line.strip()
