"""Other spellings of the protocol's fields and values: names of other SDKs, instants as text, numbers in other forms.

What a client, a data base or a log made of an answer is the same answer; a note says what was read in another form.
"""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TypeVar

V = TypeVar("V")

# Above this a number of seconds would be the year 5138: it is milliseconds (seen from DashScope).
MILLISECONDS_ABOVE = 1e11
# Milliseconds of the year 3237. What is larger is micro- or nanoseconds of 1973 to 2099, as data frames write, or none:
# another count of seconds would be an instant that nobody can mean.
LATEST_MILLISECONDS = 4e13
_END_OF_2099_S = 4_102_444_800
_FINER_UNITS = tuple(
    (unit, 1e8 * per_second, _END_OF_2099_S * per_second, per_second)
    for unit, per_second in (("us", 1_000_000), ("ns", 1_000_000_000))
)

# Names that other servers and SDKs have for the same; read only where the object has no field of the own name.
ALIASES = {
    # Alibaba's Assistants API, and every server in the style of the Responses API.
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
    "input_token_details": "prompt_tokens_details",
    "output_token_details": "completion_tokens_details",
    "completion_token_details": "completion_tokens_details",
    # The .NET SDK.
    "input_token_count": "prompt_tokens",
    "output_token_count": "completion_tokens",
    "total_token_count": "total_tokens",
    "cached_token_count": "cached_tokens",
    "reasoning_token_count": "reasoning_tokens",
}
# Of names that other SDKs write in their own style.
STYLES = frozenset({"camelCase", "PascalCase"})
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WHOLE = re.compile(r"[+-]?[0-9]+(?:\.0*)?|[+-]?[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]+")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
# Windows PowerShell and the older serializers of .NET: milliseconds.
_NET_DATE = re.compile(r"\\?/Date\((-?[0-9]+)(?:[+-][0-9]{4})?\)\\?/")
# An instant or a number takes few signs; a longer text is none.
_LONGEST = 64
# How MongoDB and its tools write numbers.
_EXTENDED_NUMBERS = ("$numberLong", "$numberInt", "$numberDouble", "$numberDecimal")


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """A name in the protocol's spelling: `stepDetails` and `StepDetails` are `step_details`."""
    if name.islower() or not name.isascii():
        return name
    return _WORD.sub("_", name).lower()


def in_own_style(fields: dict[str, V]) -> dict[str, V]:
    """Fields under names in the protocol's spelling, where these are free; the same where all are."""
    if all(map(str.islower, fields)):
        return fields
    return {own if (own := snake_case(name)) == name or own not in fields else name: fields[name] for name in fields}


def own_name(name: str, known: Collection[str]) -> str | None:
    """The name among the `known` ones that another spelling stands for; None if there is none."""
    snake = snake_case(name)
    for candidate in (name, snake, ALIASES.get(snake)):
        if candidate is not None and candidate in known:
            return candidate
    return None


def with_own_names(fields: Mapping[str, V], known: Collection[str]) -> tuple[dict[str, V], set[str]]:
    """Fields of an object under the protocol's names, where `known` and free, and notes of what was renamed."""
    named: dict[str, V] = {}
    notes: set[str] = set()
    for name, value in fields.items():
        own = name if name in known else own_name(name, known)
        if own is None or own == name or own in fields or own in named:
            named[name] = value
            continue
        named[own] = value
        notes.add(snake_case(name) if snake_case(name) in ALIASES else _style(name))
    return named, notes


def _style(name: str) -> str:
    return "PascalCase" if name[:1].isupper() else "camelCase"


def read_instant(value: object) -> tuple[float | None, str]:
    """An instant in seconds, or milliseconds as they came, and how it was written (`iso`, `us`, `ns`, `text`); None if
    it is unset. Raises ValueError for what is none.
    """
    if isinstance(value, dict) and len(value) == 1:
        return _read_extended_instant(value)
    if isinstance(value, str):
        return _read_instant_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("no instant")
    if value <= LATEST_MILLISECONDS:
        return float(value), "number"
    for unit, first, last, per_second in _FINER_UNITS:
        if first <= value < last:
            return value / per_second, unit
    raise ValueError("no instant")


def _read_extended_instant(value: Mapping[str, object]) -> tuple[float | None, str]:
    if (name := next(iter(value))) != "$date":
        if name not in _EXTENDED_NUMBERS:
            raise ValueError("no instant")
        return read_instant(read_number(value)[0])
    inner = value["$date"]
    if isinstance(inner, str):
        return _read_instant_text(inner.strip())
    # MongoDB counts milliseconds, also those of 1970.
    return read_number(inner)[0] / 1000, "iso"


def _read_instant_text(text: str) -> tuple[float | None, str]:
    if not text:
        return None, "text"
    if len(text) > _LONGEST:
        raise ValueError("no instant")
    if _NUMBER.fullmatch(text):
        seconds, how = read_instant(float(text))
        return seconds, how if how != "number" else "text"
    if match := _NET_DATE.fullmatch(text):
        return int(match[1]) / 1000, "iso"
    instant = _parse_instant(text)
    # The first day of .NET is its unset one.
    return None if instant.year == 1 else instant.timestamp(), "iso"


def _parse_instant(text: str) -> datetime:
    """As ISO 8601, as data bases print it, or as HTTP does; without a zone it is UTC."""
    for zone in (" UTC", " utc", " GMT", " Z"):
        text = f"{text.removesuffix(zone)}Z" if text.endswith(zone) and text[:1].isdigit() else text
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        try:
            instant = parsedate_to_datetime(text)
        except (TypeError, IndexError, OverflowError):
            raise ValueError("no instant") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def read_number(value: object) -> tuple[float, str]:
    """A number, and in which form it came. Raises ValueError for what is none."""
    if isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in _EXTENDED_NUMBERS:
        return read_number(value[name])[0], name
    if isinstance(value, str) and len(value) <= _LONGEST and _NUMBER.fullmatch(value.strip()):
        return float(value), "number as text"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value, "number"
    raise ValueError("no number")


def read_whole(value: object) -> tuple[int | None, str]:
    """A whole number, also one written as `100.0`, "100" or {"$numberLong": "100"}, and in which form; None if unset.

    Raises ValueError for what is none.
    """
    if isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in _EXTENDED_NUMBERS:
        return read_whole(value[name])[0], name
    if isinstance(value, float) and value.is_integer():
        return int(value), "whole number as float"
    if isinstance(value, str) and len(value) <= _LONGEST:
        text = value.strip()
        if not text:
            return None, "number as text"
        if _WHOLE.fullmatch(text):
            # Digits as they are: a float has only 53 bits of them.
            plain = text.partition(".")[0] if "e" not in text.lower() else None
            number = int(plain) if plain is not None else float(text)
            if isinstance(number, int) or number.is_integer():
                return int(number), "number as text"
    raise ValueError("no whole number")
