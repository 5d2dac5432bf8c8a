"""Frames as tables that a person likes to read."""

import math
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.console.plain_text import plain_line

_LEAST_CENTS = 2
# Of a float: at least so many digits behind the point, at most so many for what is below 1.
_LEAST_DIGITS, _MOST_DIGITS = 2, 4
_WIDEST_TEXT = 80
_PIPED_WIDTH = 200
_MONEY_SUFFIXES = ("_usd", "_usd_per_mtok")


def stdout_console() -> Console:
    """A console on stdout. Not on a terminal it is wide, so that what is piped or logged is not folded."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(highlight=False, width=width)


def frame_table(frame: pl.DataFrame, *, title: str | None = None, limit: int | None = None) -> Table:
    """A table of the first `limit` rows: numbers right-aligned with thousands separators, money with cents or more."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for name, dtype in frame.schema.items():
        table.add_column(Text(plain_line(name)), justify="right" if dtype.is_numeric() else "left", overflow="fold")
    shown = frame.head(limit if limit is not None else frame.height)
    for row in zip(*(format_column(column) for column in shown.iter_columns()), strict=True):
        # Not plain strings: rich would take what is in brackets for markup.
        table.add_row(*map(Text, row))
    return table


def format_column(column: pl.Series) -> list[str]:
    """The values as texts, numbers with one number of digits for all; null is empty."""
    values = column.to_list()
    if column.dtype.is_decimal():
        least = _LEAST_CENTS if column.name.endswith(_MONEY_SUFFIXES) else 0
        digits = max((_digits_of(value) for value in values if value is not None), default=0)
        return ["" if value is None else format_decimal(value, least_digits=max(least, digits)) for value in values]
    if column.dtype.is_float():
        digits = max((_float_digits(value) for value in values if value is not None), default=0)
        return ["" if value is None else _format_float(value, max(digits, _LEAST_DIGITS)) for value in values]
    return [format_value(value) for value in values]


def format_value(value: Any) -> str:
    """One value that is neither float nor decimal as text; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = plain_line(str(value))
    return text if len(text) <= _WIDEST_TEXT else text[: _WIDEST_TEXT - 1] + "…"


def format_decimal(value: Decimal, *, least_digits: int) -> str:
    """Exact, with thousands separators and as many digits as it needs, but not fewer than asked for."""
    return f"{value:,.{max(_digits_of(value), least_digits)}f}"


def _digits_of(value: Decimal) -> int:
    return len(f"{value:f}".partition(".")[2].rstrip("0"))


def _float_digits(value: float) -> int:
    if not math.isfinite(value) or abs(value) >= 1:
        return _LEAST_DIGITS
    return len(f"{value:.{_MOST_DIGITS}f}".partition(".")[2].rstrip("0"))


def _format_float(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    # What is not zero must not look like it.
    return text if value == 0 or text.strip("-0.,") else f"{value:.2g}"


def join_counts(counts: Sequence[tuple[str, int]]) -> str:
    """`400 threads, 2,310 runs`."""
    return ", ".join(count_of(count, nouns) for nouns, count in counts)


def count_of(count: int, nouns: str) -> str:
    """`2,310 runs`, or `1 run`: the nouns are given in the plural, which ends in the s that makes it one."""
    return f"{count:,} {nouns.removesuffix('s') if count == 1 else nouns}"
