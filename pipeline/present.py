"""Frames as tables that a person likes to read."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

_LEAST_CENTS = 2
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
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold")
    for row in frame.head(limit if limit is not None else frame.height).iter_rows():
        table.add_row(*(format_value(value, name) for value, name in zip(row, frame.columns, strict=True)))
    return table


def format_value(value: Any, column: str = "") -> str:
    """One value as text; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format_decimal(value, least_digits=_LEAST_CENTS if column.endswith(_MONEY_SUFFIXES) else 0)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = " ".join(str(value).split())
    return text if len(text) <= _WIDEST_TEXT else text[: _WIDEST_TEXT - 1] + "…"


def format_decimal(value: Decimal, *, least_digits: int) -> str:
    """Exact, with thousands separators and as many digits as it needs, but not fewer than asked for."""
    whole, _, digits = f"{value:,f}".partition(".")
    kept = digits.rstrip("0").ljust(least_digits, "0")
    return f"{whole}.{kept}" if kept else whole


def join_counts(counts: Sequence[tuple[str, int]]) -> str:
    """`400 threads, 2,310 runs`."""
    return ", ".join(f"{count:,} {noun}" for noun, count in counts)
