"""Hiding values of JSON: the keyed hash that stands in a text's place, and rules for what stays of an object.

A hidden text is `hmac:HEX:BYTES`: HEX are the first 16 bytes of its HMAC-SHA-256, BYTES its size in UTF-8. An output
that tells of a failure has `:error` or `:traceback` behind it, because nobody could tell afterwards.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from pipeline.protocol.json_text import join_fields, repair_json
from pipeline.protocol.spellings import read_instant, snake_case

# Half of the hash, which RFC 2104 allows: two texts of one warehouse will not share it.
_HASH_BYTES = 16
_FINGERPRINT_OF = b"run-steps-pipeline: the key of hidden contents"
_FINGERPRINT_LENGTH = 16
_TRACEBACK = "Traceback (most recent call last)"
# What an `error` looks like that tells of none: the same as in the view tool_failures.
_NO_ERRORS = frozenset({"", "null", "false", "0", "[]", "{}"})
_NULL = b"null"
_EMPTY = frozenset({b"null", b'""', b"[]", b"{}"})
_FIGURE = re.compile(rb"-?[0-9][0-9.eE+-]*|true|false|null")
_HIDDEN = re.compile(r"hmac:[0-9a-f]{32}:[0-9]{1,10}(:error|:traceback)?")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The key of hidden contents: the same text has the same hash wherever the key is the same."""

    value: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """What tells two keys apart and says nothing of either."""
        return self._digest(_FINGERPRINT_OF)[:_FINGERPRINT_LENGTH]

    def hide(self, text: str, flag: str = "") -> str:
        """What stands in a text's place; what stands there already stays."""
        if is_hidden(text):
            return text
        encoded = text.encode("utf-8", errors="replace")
        return f"hmac:{self._digest(encoded)}:{len(encoded)}{flag and f':{flag}'}"

    def _digest(self, content: bytes) -> str:
        return hmac.digest(self.value, content, "sha256")[:_HASH_BYTES].hex()


def is_hidden(text: str) -> bool:
    """Whether this stands in a text's place."""
    return _HIDDEN.fullmatch(text) is not None


# What may stay of one value, as JSON text.
Rule = Callable[[ContentKey, bytes], str]


def apply_rule(rule: Rule, key: ContentKey, raw: bytes) -> str:
    """What the rule writes; a value that cannot be read is hidden whole."""
    try:
        return rule(key, raw)
    except UNREADABLE:
        return quoted(key.hide(_shown(raw)))


def hide_unknown(key: ContentKey, raw: bytes) -> str:
    """A field that nobody knows: numbers and what is empty stay; a text, or an object with all in it, is hidden."""
    if raw in _EMPTY or _FIGURE.fullmatch(raw):
        return raw.decode()
    return quoted(key.hide(_text_of(raw)))


def hide_value(key: ContentKey, raw: bytes) -> str:
    """A value that is hidden whatever it is, unless it is empty: of metadata, or arguments as sent."""
    return raw.decode() if raw in _EMPTY else quoted(key.hide(_text_of(raw)))


def hide_text(key: ContentKey, raw: bytes) -> str:
    """A field that holds a text or nothing; anything else in it stays unreadable as a text."""
    if _is_text(raw) or raw in _EMPTY:
        return hide_value(key, raw)
    shown = _shown(raw)
    return shown if is_hidden(shown.removeprefix('["').removesuffix('"]')) else f"[{hide_value(key, raw)}]"


def hide_log(key: ContentKey, raw: bytes) -> str:
    """Logs of the code interpreter. Those that are empty are hidden too: several are joined, one in each line."""
    if not _is_text(raw):
        return hide_text(key, raw)
    text = _decode(raw, str)
    return quoted(key.hide(text, "traceback" if _TRACEBACK in text else _failure(text)))


def hide_output(key: ContentKey, raw: bytes) -> str:
    """What a tool answered."""
    if raw in (b"null", b'""'):
        return raw.decode()
    text = _text_of(raw)
    return quoted(key.hide(text, _failure(text)))


def rewritten(rule: Rule) -> Rule:
    """For fields of functions: what is no text is hidden as the JSON that their columns would hold."""

    def write(key: ContentKey, raw: bytes) -> str:
        if _is_text(raw):
            return rule(key, raw)
        return rule(key, msgspec.json.encode(_decode(raw, Any)))

    return write


def keep_name(key: ContentKey, raw: bytes) -> str:
    """An id, a type, a status, the name of a tool."""
    if not _is_text(raw):
        return hide_unknown(key, raw) if _FIGURE.fullmatch(raw) else hide_text(key, raw)
    # What cannot be broken needs no reading: most names are.
    return raw.decode() if raw.isascii() and b"\\" not in raw else quoted(_decode(raw, str))


def keep_figures(key: ContentKey, raw: bytes) -> str:
    """Counts at any depth, also in quotes."""
    if raw.startswith(b"{"):
        return _write_fields(key, _decode(raw, dict[str, Raw]), {}, keep_figures)
    if _is_text(raw) and _FIGURE.fullmatch(raw[1:-1]):
        return raw.decode()
    return hide_unknown(key, raw)


def keep_instant(key: ContentKey, raw: bytes) -> str:
    """An instant in any spelling of it; a text that tells of none is hidden."""
    try:
        read_instant(_decode(raw, Any))
    except (ValueError, OverflowError):
        return hide_unknown(key, raw)
    return raw.decode()


def holding_json(rule: Rule) -> Rule:
    """For objects that some keep as a text of JSON: what may stay of the object stays, in a text."""

    def write(key: ContentKey, raw: bytes) -> str:
        inner = _decode(raw, str).strip().encode() if _is_text(raw) else b""
        return quoted(apply_rule(rule, key, inner)) if inner.startswith((b"{", b"[")) else rule(key, raw)

    return write


def object_of(fields: Mapping[str, Rule], *, other: Rule = hide_unknown, text: Rule = hide_unknown) -> Rule:
    """An object with known fields; `other` is for those that are not, `text` for a text in the object's place."""

    def write(key: ContentKey, raw: bytes) -> str:
        if not raw.startswith(b"{"):
            return text(key, raw)
        return _write_fields(key, _decode(raw, dict[str, Raw]), fields, other)

    return write


def list_of(item: Rule, *, other: Rule = hide_unknown) -> Rule:
    """A list; `other` is for anything else in its place."""

    def write(key: ContentKey, raw: bytes) -> str:
        if not raw.startswith(b"["):
            return other(key, raw)
        return "[" + ",".join(apply_rule(item, key, bytes(value)) for value in _decode(raw, list[Raw])) + "]"

    return write


def call_of(fields: Mapping[str, Rule], nested: Rule) -> Rule:
    """A tool call; `nested` is for the field named like its type, also where the type is not known."""

    def write(key: ContentKey, raw: bytes) -> str:
        if not raw.startswith(b"{"):
            return hide_unknown(key, raw)
        found = _decode(raw, dict[str, Raw])
        kind = bytes(found.get("type", found.get("Type", _NULL)))
        named = {snake_case(_decode(kind, str)): nested} if _is_text(kind) else {}
        return _write_fields(key, found, {**named, **fields}, hide_unknown)

    return write


def quoted(text: str) -> str:
    """A text as JSON."""
    return msgspec.json.encode(text).decode()


def _write_fields(key: ContentKey, found: Mapping[str, Raw], fields: Mapping[str, Rule], other: Rule) -> str:
    written = {name: apply_rule(_rule_of(name, fields) or other, key, bytes(raw)) for name, raw in found.items()}
    return join_fields(written) or "{}"


def _rule_of(name: str, fields: Mapping[str, Rule]) -> Rule | None:
    """The rule of a field under this name or under one that another spelling stands for."""
    return fields.get(name) or fields.get(snake_case(name))


def _failure(text: str) -> str:
    """`error` for an output that is a JSON object with an error that is not empty."""
    if not text.lstrip(" ").startswith("{") or '"error"' not in text:
        return ""
    try:
        found = bytes(msgspec.json.decode(text, type=dict[str, Raw]).get("error", _NULL))
    except UNREADABLE:
        return ""
    shown = _text_of(found)
    return "" if (shown if _is_text(found) else "".join(shown.split())) in _NO_ERRORS else "error"


def _is_text(raw: bytes) -> bool:
    return raw.startswith(b'"')


def _text_of(raw: bytes) -> str:
    return _decode(raw, str) if _is_text(raw) else _shown(raw)


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _decode(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        return msgspec.json.decode(repair_json(raw), type=kind)
