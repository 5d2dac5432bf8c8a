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

from pipeline.protocol.json_text import join_fields, plain_json, repair_json
from pipeline.protocol.spellings import read_instant, snake_case
from pipeline.protocol.words import is_id, is_name, is_word

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
_LETTERS = re.compile(rb"[A-Za-z\x80-\xff]+")
_OF_INSTANTS = frozenset(
    b"""T Z t z e E UTC utc GMT Date date numberLong numberInt numberDouble numberDecimal
    Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec""".split()
)
_HIDDEN = re.compile(r"hmac:[0-9a-f]{32}:[0-9]{1,10}(:error|:traceback)?")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The key of hidden contents: the same text has the same hash wherever the key is the same."""

    value: bytes = field(repr=False)
    # Ids that were asked for stay, whatever they look like.
    asked: frozenset[str] = field(default=frozenset(), repr=False)

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

    def hide_unless(self, text: str, *, known: bool) -> str:
        """The text if it is known to say nothing, else what stands in its place."""
        return text if known or not text else self.hide(text)

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


def keeping(is_known: Callable[[str], bool]) -> Rule:
    """For fields whose text stays where it is what they are for; anything else in them is hidden."""

    def write(key: ContentKey, raw: bytes) -> str:
        if not _is_text(raw):
            return hide_unknown(key, raw) if _FIGURE.fullmatch(raw) else hide_text(key, raw)
        text = _decode(raw, str)
        if text != (kept := key.hide_unless(text, known=text in key.asked or is_known(text))):
            return quoted(kept)
        # As sent where that cannot be broken: most names are.
        return raw.decode() if raw.isascii() and b"\\" not in raw else quoted(text)

    return write


# A status, a type, a code.
keep_word = keeping(is_word)
# A model, the name of a tool, an id of something that nobody asks for.
keep_name = keeping(is_id)
# The id of a run or a step itself: what is asked for with it is found under it.
keep_key = keeping(lambda _: True)


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
    # A date of HTTP may have any words around it, and numbers any sign.
    return raw.decode() if set(_LETTERS.findall(raw)) <= _OF_INSTANTS else hide_unknown(key, raw)


def holding_json(rule: Rule) -> Rule:
    """For objects that some keep as a text of JSON: what may stay of the object stays, in a text."""

    def write(key: ContentKey, raw: bytes) -> str:
        inner = _decode(raw, str).strip().encode() if _is_text(raw) else b""
        return quoted(apply_rule(rule, key, inner)) if inner.startswith((b"{", b"[")) else rule(key, raw)

    return write


def object_of(
    fields: Mapping[str, Rule],
    *,
    other: Rule = hide_unknown,
    text: Rule = hide_unknown,
    named: Callable[[str], bool] = is_name,
) -> Rule:
    """An object with known fields; `other` is for those that are not, `text` for a text in the object's place.

    Names of fields stay that are `named` so by the protocol or by whom the object is of; others are a server's words.
    """

    def write(key: ContentKey, raw: bytes) -> str:
        if not raw.startswith(b"{"):
            return text(key, raw)
        return _write_fields(key, _decode(raw, dict[str, Raw]), fields, other, named)

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
        if not _is_text(kind):
            return _write_fields(key, found, fields, hide_unknown)
        text = _decode(kind, str)
        own = snake_case(text)
        if is_word(text):
            return _write_fields(key, found, {own: nested, **fields}, hide_unknown)
        # The field has the name that the type will have.
        own_field = key.hide(text)
        renamed = {own_field if snake_case(name) == own else name: raw for name, raw in found.items()}
        return _write_fields(key, renamed, {own_field: nested, **fields}, hide_unknown)

    return write


def quoted(text: str) -> str:
    """A text as JSON."""
    return msgspec.json.encode(text).decode()


def _write_fields(
    key: ContentKey,
    found: Mapping[str, Raw],
    fields: Mapping[str, Rule],
    other: Rule,
    named: Callable[[str], bool] = is_name,
) -> str:
    written = {
        key.hide_unless(name, known=name in fields or named(name)): apply_rule(
            _rule_of(name, fields) or other, key, bytes(raw)
        )
        for name, raw in found.items()
    }
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
    # As columns have it, so that a text has one hash whoever wrote the JSON.
    return plain_json(raw).decode("utf-8", errors="replace")


def _decode(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        return msgspec.json.decode(repair_json(raw), type=kind)
