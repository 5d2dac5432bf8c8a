"""A frame as a table of the page: rows of texts, those that are left out, and what all of them add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.report.layout import Column, TableLayout
from pipeline.report.values import show_column

_TOO_LONG = 13
# On paper a longer word breaks anywhere.
_LONG_WORD = 24
_OF_A_REST = ("spent_usd", "share", "runs")


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: as text, as what a column is sorted by, in full where the text is shorter, as per cent for a bar."""

    text: str
    sort_by: str
    title: str | None = None
    percent: float | None = None
    is_long: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page: the rows of its body, those at its foot, and how many rows are in neither."""

    layout: TableLayout
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Sequence[Cell]]
    left_out: int

    @property
    def is_short(self) -> bool:
        """Whether it fits on a page of paper beside others."""
        return len(self.rows) <= _TOO_LONG


def make_table(layout: TableLayout, frame: pl.DataFrame, *, totals: Mapping[str, Any], sources: int = 2) -> Table:
    """A table of a frame; a column is left out where it says nothing: nothing is known, or all is of one source.

    `totals` are the figures of the whole report by column name: what the foot ends with.
    """
    body = frame.filter(~_is_rest(layout, frame))
    columns = [column for column in layout.columns if _says_something(column, frame, sources)]
    rows = body.head(layout.most_rows).rows(named=True)
    foot = _foot(layout, frame, body, totals) if layout.has_total and rows else []
    texts = _texts(columns, [*rows, *foot])
    left_out = 0 if layout.has_total else body.height - len(rows)
    return Table(layout, columns, texts[: len(rows)], texts[len(rows) :], left_out)


def _is_rest(layout: TableLayout, frame: pl.DataFrame) -> pl.Series:
    if not layout.rests:
        return pl.repeat(False, frame.height, eager=True)
    return frame["part"].is_in(list(layout.rests))


def _says_something(column: Column, frame: pl.DataFrame, sources: int) -> bool:
    if column.name == "source":
        return sources > 1
    values = frame[column.name]
    if column.is_optional:
        return bool(values.sum())
    # A name or a sum that nobody knows says that nobody knows it.
    return column.kind == "name" or column.name == "spent_usd" or values.null_count() < frame.height


def _foot(
    layout: TableLayout, frame: pl.DataFrame, body: pl.DataFrame, totals: Mapping[str, Any]
) -> list[dict[str, Any]]:
    left, rests = body.slice(layout.most_rows), frame.filter(_is_rest(layout, frame)).rows(named=True)
    first = layout.columns[0].name
    sums = [column.name for column in layout.columns if column.adds_up]
    foot: list[dict[str, Any]] = []
    if left.height:
        known = {name: left[name].sum() if left[name].count() else None for name in sums}
        foot.append({**known, first: f"{left.height:,} more"})
    # Of the rest only what it is made of: it is no tool, and was not called.
    foot += [{first: layout.rests[row["part"]]} | {name: row[name] for name in _OF_A_REST} for row in rests]
    # Runs without usage are in no row, and so not in the sum.
    total = {name: frame[name].sum() if name == "runs" else totals.get(name) for name in sums if name != "share"}
    return [*foot, {**total, first: "Total"}]


def _texts(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
    by_column = []
    for column in columns:
        values = [row.get(column.name) for row in rows]
        texts = show_column(values, column.kind, when_null=column.when_null)
        # A row of the foot has no value of what does not add up.
        shown = [text if column.name in row else "" for row, text in zip(rows, texts, strict=True)]
        by_column.append([_cell(value, text, column) for value, text in zip(values, shown, strict=True)])
    return [list(cells) for cells in zip(*by_column, strict=True)]


def _cell(value: Any, text: str, column: Column) -> Cell:
    percent = round(100 * float(value), 2) if column.has_bar and value is not None else None
    title = str(value) if column.kind == "id" and text != str(value) else None
    is_long = any(len(word) > _LONG_WORD for word in text.split())
    return Cell(text, "" if value is None else str(value), title, percent, is_long)
