"""Rows as tables that a person likes to read: on the lines of a terminal, one value a line, or in Markdown."""

import json
import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline.console.fitting import GAP, TextColumn, fit_columns, header_lines, pad, shorten, text_width
from pipeline.console.plain_text import plain_line

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console, ConsoleOptions, RenderResult

_LEAST_CENTS = 2
# Of a float: at least so many digits behind the point, at most so many for what is below 1.
_LEAST_DIGITS, _MOST_DIGITS = 2, 4
_WIDEST_TEXT = 80
# What is piped or logged is as wide as it is.
_PIPED_WIDTH = 100_000
_MONEY = re.compile(r"_usd(_per_mtok)?$")
# Whole numbers that count nothing are written without separators: 2026, 20260501, an id.
_UNCOUNTED = frozenset({"year", "month", "week", "day", "date", "hour", "id", "index", "version", "epoch", "at", "on"})
_PERCENT = re.compile(r"-?[0-9.]+%")
_WORDS = re.compile(r"[a-z]+")

Rows = Mapping[str, Sequence[Any]]


class Table:
    """Columns of values by name, and a last row (`totals`) by name; prints itself where there is room for it."""

    def __init__(
        self, columns: Rows, *, title: str | None = None, totals: Mapping[str, Any] | None = None, advice: str = ""
    ) -> None:
        self.title, self._advice = title, advice
        self.height = max(map(len, columns.values()), default=0)
        self._has_totals = totals is not None
        ends: Mapping[str, Any] = totals or {}
        whole = {name: [*values, ends.get(name)] if self._has_totals else values for name, values in columns.items()}
        self._cells = {name: format_column(name, values) for name, values in whole.items()}
        self._texts = [_text_column(name, columns[name], cells) for name, cells in self._cells.items()]

    def lines(self, width: int | None, *, is_whole: bool = False) -> Iterator[str]:
        """The lines of the table; each value is on one, whatever the width, as a whole or as much as a table needs."""
        fitted = fit_columns(self._texts if is_whole else [_capped(column) for column in self._texts], width)
        shown = list(zip(fitted.columns, fitted.widths, strict=True))
        heads = [header_lines(column, wide) for column, wide in shown]
        height = max(map(len, heads), default=0)
        for line in range(height):
            texts = (head[line - height + len(head)] if line >= height - len(head) else "" for head in heads)
            yield _line(texts, shown)
        for row in range(self.height + self._has_totals):
            yield _line((shorten(one.cells[row], wide, is_id=one.is_id) for one, wide in shown), shown)
        if not self.height:
            yield "(0 rows)"
        if fitted.left_out:
            told = f"(no room for {', '.join(map(plain_line, fitted.left_out))}{self._advice})"
            yield from textwrap.wrap(told, width or _PIPED_WIDTH, break_on_hyphens=False)

    def vertical_lines(self) -> Iterator[str]:
        """A line for each value, whole."""
        wide = max((text_width(column.name) for column in self._texts), default=0) + GAP
        for row in range(self.height + self._has_totals):
            yield f"row {row + 1:,}" if row < self.height else "total"
            yield from (f"  {pad(one.name, wide, is_right=False)}{one.cells[row]}".rstrip() for one in self._texts)
        if not self.height:
            yield "(0 rows)"

    def markdown_lines(self) -> Iterator[str]:
        """A table of Markdown, numbers to the right."""
        yield _markdown_row(column.name for column in self._texts)
        yield "|" + "|".join("---:" if column.is_right else "---" for column in self._texts) + "|"
        for row in range(self.height + self._has_totals):
            yield _markdown_row(column.cells[row] for column in self._texts)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        if self.title:
            yield Text(self.title, style="bold", no_wrap=True, overflow="ignore")
        heads = self._head_height(options.max_width)
        # Not plain strings: rich would take what is in brackets for markup.
        for place, line in enumerate(self.lines(options.max_width)):
            yield Text(line, style="bold" if place < heads else "", no_wrap=True, overflow="ignore")

    def _head_height(self, width: int) -> int:
        fitted = fit_columns([_capped(column) for column in self._texts], width)
        return max((len(header_lines(*one)) for one in zip(fitted.columns, fitted.widths, strict=True)), default=0)


def stdout_console() -> "Console":
    """A console on stdout; what is piped or logged is not folded."""
    from rich.console import Console

    return Console(highlight=False, width=terminal_width() or _PIPED_WIDTH)


def terminal_width() -> int | None:
    """Columns of the terminal that reads stdout; None: no terminal does, and nobody said how wide it should be."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return shutil.get_terminal_size().columns
    return None


def frame_table(frame: "pl.DataFrame", *, title: str | None = None, limit: int | None = None) -> Table:
    """A table of the first `limit` rows of a frame."""
    shown = frame if limit is None else frame.head(limit)
    return Table({column.name: column.to_list() for column in shown.iter_columns()}, title=title)


def format_column(name: str, values: Sequence[Any]) -> list[str]:
    """The values as texts on one line each, numbers with one number of digits for all; null is empty."""
    known = [value for value in values if value is not None]
    kinds = {type(value) for value in known}
    if kinds == {Decimal}:
        least = _LEAST_CENTS if _MONEY.search(name) else 0
        digits = max(map(_digits_of, known), default=0)
        return ["" if value is None else format_decimal(value, least_digits=max(least, digits)) for value in values]
    if kinds == {float}:
        digits = max(map(_float_digits, known), default=0)
        return ["" if value is None else _format_float(value, max(digits, _LEAST_DIGITS)) for value in values]
    if kinds == {int} and not counts(name, known):
        return ["" if value is None else str(value) for value in values]
    return [format_value(value) for value in values]


def counts(name: str, values: Sequence[int]) -> bool:
    """Whether whole numbers count something; else they name it, like years, days as 20260501 and ids."""
    words = _WORDS.findall(name.lower())
    # A function says what it gives at its start.
    told = set(words[:3]) if "(" in name else set(words[-1:])
    return not told & _UNCOUNTED and not (not name.endswith("s") and all(1990 <= value <= 2100 for value in values))


def format_value(value: Any) -> str:
    """One value that is neither float nor decimal as a text on one line; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, (dict, list)):
        return plain_line(json.dumps(value, ensure_ascii=False, default=str))
    return plain_line(str(value))


def format_decimal(value: Decimal, *, least_digits: int) -> str:
    """Exact, with thousands separators and as many digits as it needs, but not fewer than asked for."""
    return f"{value:,.{max(_digits_of(value), least_digits)}f}"


def join_counts(counts: Sequence[tuple[str, int]]) -> str:
    """`400 threads, 2,310 runs`."""
    return ", ".join(count_of(count, nouns) for nouns, count in counts)


def count_of(count: int, nouns: str) -> str:
    """`2,310 runs`, or `1 run`: the nouns are given in the plural, which ends in the s that makes it one."""
    return f"{count:,} {nouns.removesuffix('s') if count == 1 else nouns}"


def _text_column(name: str, values: Sequence[Any], cells: Sequence[str]) -> TextColumn:
    kinds = {type(value) for value in values if value is not None}
    is_share = kinds == {str} and all(_PERCENT.fullmatch(value) for value in values if value)
    is_number = is_share or (bool(kinds) and kinds <= {int, float, Decimal})
    return TextColumn(plain_line(name), cells, is_number, is_number or kinds <= {date, datetime, bool})


def _capped(column: TextColumn) -> TextColumn:
    """A text that a person reads on is not read in a table."""
    if all(len(cell) <= _WIDEST_TEXT for cell in column.cells):
        return column
    return TextColumn(column.name, [shorten(cell, _WIDEST_TEXT) for cell in column.cells])


def _line(texts: Iterator[str], shown: Sequence[tuple[TextColumn, int]]) -> str:
    cells = (pad(text, wide, is_right=one.is_right) for text, (one, wide) in zip(texts, shown, strict=True))
    return (" " * GAP).join(cells).rstrip()


def _markdown_row(cells: Iterator[str]) -> str:
    return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"


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
