"""Texts of others as a terminal may have them: shown, never obeyed."""

import re

# Control characters but for the line's end and the tab, what turns the direction of writing, and halves of a pair.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHOWN = "\N{REPLACEMENT CHARACTER}"


def plain_text(text: str) -> str:
    """The text with a mark in place of each character that a terminal would obey; lines stay lines."""
    return text if text.isascii() and text.isprintable() else _OBEYED.sub(_SHOWN, text)


def plain_line(text: str) -> str:
    """The same as one line: white space of any kind is one space."""
    return plain_text(" ".join(text.split()))
