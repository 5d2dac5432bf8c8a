"""Facts as a page: which tables and figures it has, and every value as text."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline import __version__
from pipeline.report.chart import draw_spend
from pipeline.report.facts import Facts
from pipeline.report.layout import TABLES, Column, TableLayout

_FOLDER = Path(__file__).parent
# More rows than a person reads; the page says how many are left out.
_MOST_ROWS = 100
_SMALL_USD = 1
# Digits of a change: as it was rounded together with the others.
_CENTS, _MICROS = 2, 6
# States of runs of which something is not here.
_NOT_WHOLE = ["list_cut", "run_missing", "steps_missing", "usage_differs"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: as text, as what a column is sorted by, and as a part of the column's largest (for its bar)."""

    text: str
    sort_by: str
    part: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page."""

    layout: TableLayout
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    left_out: int


def render_page(facts: Facts, *, now: datetime) -> str:
    """The HTML of a report. Every text from the warehouse is escaped; the browser runs nothing but what we wrote."""
    environment = _environment()
    style = (_FOLDER / "page.css").read_text("utf-8")
    script = (_FOLDER / "page.js").read_text("utf-8")
    [totals] = facts.frames["totals"].to_dicts()
    [calls] = facts.frames["calls"].to_dicts()
    return environment.get_template("page.html").render(
        facts=facts,
        totals=totals | calls,
        gaps=_name_gaps(facts),
        chart=draw_spend(facts.frames["spend_by_day"]),
        tables={layout.name: make_table(layout, facts) for layout in TABLES},
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        made_at=now,
        version=__version__,
    )


def make_table(layout: TableLayout, facts: Facts) -> Table:
    """A table of a frame; the column `source` is left out where the report has only one."""
    frame = facts.frames[layout.name]
    columns = [column for column in layout.columns if column.name != "source" or len(facts.sources) > 1]
    shown = frame.head(_MOST_ROWS)
    largest = {column.name: shown[column.name].max() for column in columns if column.has_bar}
    rows = [[_cell(row[column.name], column, largest) for column in columns] for row in shown.iter_rows(named=True)]
    return Table(layout, columns, rows, frame.height - shown.height)


def show(value: Any, kind: str) -> str:
    """A value as text; an unknown one is called so, never 0."""
    if value is None:
        return "unknown" if kind in {"money", "name"} else "–"
    if kind == "money":
        return show_money(value)
    if kind == "change":
        return f"{'-' if value < 0 else '+'}${abs(value):,.{_CENTS if value == round(value, _CENTS) else _MICROS}f}"
    if kind == "share":
        return f"{value:.1%}"
    if kind == "seconds":
        return f"{value:,.1f} s"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, date):
        return f"{value.day} {value:%b %Y}"
    return f"{value:,}" if kind == "count" else str(value)


def show_money(value: Decimal) -> str:
    """Dollars with cents, below one dollar with four digits."""
    if value and abs(value) < Decimal("0.00005"):
        return "< $0.0001"
    return f"${value:,.4f}" if 0 < abs(value) < _SMALL_USD else f"${value:,.2f}"


def _cell(value: Any, column: Column, largest: dict[str, Any]) -> Cell:
    part = None
    if column.has_bar and value is not None and largest[column.name]:
        part = round(100 * float(value / largest[column.name]), 2)
    return Cell(show(value, column.kind), "" if value is None else str(value), part)


def _name_gaps(facts: Facts) -> list[str]:
    """What the figures lack, one sentence each; empty when nothing is missing."""
    runs, threads = facts.frames["completeness"], facts.frames["threads"]
    [totals] = facts.frames["totals"].to_dicts()
    counts = {
        "{} could not be read to the end or whose usage does not add up": _sum(
            runs.filter(pl.col("state").is_in(["list_cut", "run_missing", "steps_missing", "usage_differs"])),
            "runs",
            "run",
        ),
        "{} without usage from the server, so that nothing proves the steps whole": _sum(
            runs.filter(pl.col("state") == "no_usage"), "runs", "run"
        ),
        "{} can still change": _sum(runs.filter(pl.col("state") == "open"), "runs", "run"),
        "{} could not be synced": _sum(threads.filter(pl.col("status") == "failed"), "threads", "thread"),
        "{} on the server no more": _sum(threads.filter(pl.col("status") == "missing"), "threads", "thread"),
        "{} still to be synced": _sum(threads.filter(pl.col("status") == "known"), "threads", "thread"),
        "{} without a known cost, in no sum of dollars": _count(totals["unpriced_steps"], "step"),
        "{} told usage beyond their steps whose cost is unknown": _count(totals["unpriced_rests"], "run"),
        "{} of tools that nobody knows, in no sum of fees": _count(totals["unknown_fees"], "fee"),
        "{} that could not be read": _sum(facts.frames["rejects"], "rejects", "value"),
    }
    return [sentence.format(count) for sentence, count in counts.items() if count]


def _sum(frame: pl.DataFrame, column: str, noun: str) -> str:
    return _count(int(frame[column].sum()), noun)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["show"] = show
    return environment


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
