"""Values as a person reads them; those of one column with the same number of decimals. Pure."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pipeline.money.periods import Period

# Cents where something comes to a dollar, else a hundredth of them.
_CENTS, _FINER = 2, 4
_MICROS = 6
_LONGEST_ID = 18


def show_column(values: Sequence[Any], kind: str, *, when_null: str | None = None) -> list[str]:
    """The values of one column as texts; an unknown one is called so, never 0."""
    digits = _digits(values, kind)
    return [show(value, kind, digits=digits, when_null=when_null) for value in values]


def show(value: Any, kind: str, *, digits: int | None = None, when_null: str | None = None) -> str:
    """One value as text, with so many decimals where it is money, else with as many as it needs by itself."""
    if value is None:
        return when_null or ("unknown" if kind in {"money", "name"} else "–")
    if kind in {"money", "change"}:
        places = _digits([value], kind) if digits is None else digits
        return _signed(value, places) if kind == "change" else _money(value, places)
    if kind == "share":
        return f"{value:.1%}"
    if kind == "seconds":
        return f"{value:,.1f} s"
    if kind == "id":
        return shorten(str(value))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, date):
        return f"{value.day} {value:%b %Y}"
    return f"{value:,}" if kind == "count" else str(value)


def money_digits(values: Sequence[Any]) -> int:
    """How many decimals amounts that stand together have."""
    known = [abs(value) for value in values if value is not None]
    return _FINER if any(known) and max(known) < 1 else _CENTS


def shorten(text: str) -> str:
    """A long id without its middle."""
    return text if len(text) <= _LONGEST_ID else f"{text[:10]}…{text[-6:]}"


def show_period(period: Period) -> str:
    """A month by its name, other days by the first and the last of them."""
    if period.name == f"{period.first_on:%Y-%m}":
        return f"{period.first_on:%B %Y}"
    return f"{show(period.first_on, 'day')} to {show(period.last_on, 'day')}"


def count_of(number: int, noun: str) -> str:
    """`2,310 runs`, or `1 run`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _digits(values: Sequence[Any], kind: str) -> int:
    if kind == "change":
        known = [value for value in values if value is not None]
        return _CENTS if all(value == round(value, _CENTS) for value in known) else _MICROS
    return money_digits(values) if kind == "money" else 0


def _money(value: Decimal, digits: int) -> str:
    least = Decimal(1).scaleb(-digits)
    if value and abs(value) < least / 2:
        return f"< ${least}"
    return f"{'-' if value < 0 else ''}${abs(value):,.{digits}f}"


def _signed(value: Decimal, digits: int) -> str:
    return f"{'-' if value < 0 else '+'}${abs(value):,.{digits}f}"
