"""Facts as a page: which tables and figures it has, and every value as text."""

import base64
import hashlib
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline import __version__
from pipeline.money.shapley import round_parts
from pipeline.program import command
from pipeline.report.chart import draw_spend
from pipeline.report.dearest import explain_days
from pipeline.report.facts import Facts
from pipeline.report.layout import TABLES
from pipeline.report.period_change import PeriodChange
from pipeline.report.tables import make_table
from pipeline.report.values import count_of, money_digits, show, show_period

_FOLDER = Path(__file__).parent
# States of runs of which something is not here.
_NOT_WHOLE = ["list_cut", "run_missing", "steps_missing", "usage_differs"]


def render_page(facts: Facts, *, now: datetime) -> str:
    """The HTML of a report. Every text from the warehouse is escaped; the browser runs nothing but what we wrote."""
    environment = _environment()
    style = (_FOLDER / "page.css").read_text("utf-8")
    script = (_FOLDER / "page.js").read_text("utf-8")
    frames = facts.frames
    [totals], [calls] = frames["totals"].to_dicts(), frames["calls"].to_dicts()
    tables = {
        layout.name: make_table(layout, frames[layout.name], totals=totals | calls, sources=len(facts.sources))
        for layout in TABLES
    }
    return environment.get_template("page.html").render(
        facts=facts,
        command=command,
        totals=totals | calls,
        parts=_split_spent(totals),
        unpriced=_name_unpriced(totals),
        gaps=_name_gaps(facts),
        **({} if facts.change is None else _compare(facts.change)),
        chart=draw_spend(frames["day_models"]),
        days=explain_days(frames["dearest_days"], frames["dearest_runs"]),
        tables={name: table for name, table in tables.items() if table.rows},
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        made_at=now,
        version=__version__,
    )


def _split_spent(totals: dict[str, Any]) -> list[str]:
    """The parts of what was spent, tokens and fees, rounded so that they add up to it as it is written."""
    parts = [Fraction(totals[name] or 0) for name in ("cost_usd", "fee_usd")]
    digits = money_digits([totals["spent_usd"]])
    rounded, _ = round_parts(parts, sum(parts, Fraction(0)), Decimal(1).scaleb(-digits))
    return [show(value, "money", digits=digits) for value in rounded]


def _name_unpriced(totals: dict[str, Any]) -> list[str]:
    """What no sum of dollars holds, as counts."""
    tokens, steps, rests = (totals[f"unpriced_{each}"] for each in ("tokens", "steps", "rests"))
    # Where the tokens themselves are not known, steps and runs are counted.
    usage = [(tokens, "token")] if tokens else [(steps, "step"), (rests, "run")]
    counts = [*usage, (totals["unknown_fees"], "fee")]
    return [count_of(number, noun) for number, noun in counts if number]


def _compare(change: PeriodChange) -> dict[str, str]:
    """The two periods by name, and how much more or less the later one cost, as a person says it."""
    by = change.after_usd - change.before_usd
    share = f" ({abs(by) / change.before_usd:.1%})" if change.before_usd > 0 else ""
    amount = f"{show(abs(by), 'money')}{share} {'more' if by > 0 else 'less'} than" if by else "As much as"
    return {"difference": amount, "after_name": show_period(change.after), "before_name": show_period(change.before)}


def _name_gaps(facts: Facts) -> list[str]:
    """What the figures lack, one sentence each; empty when nothing is missing."""
    runs, threads = facts.frames["completeness"], facts.frames["threads"]
    [totals] = facts.frames["totals"].to_dicts()
    counts = {
        "{} could not be read to the end or whose usage does not add up": _sum(
            runs.filter(pl.col("state").is_in(_NOT_WHOLE)), "runs", "run"
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
        "{} of tools that nobody knows, in no sum of dollars": _count(totals["unknown_fees"], "fee"),
        "{} that could not be read": _sum(facts.frames["rejects"], "rejects", "value"),
    }
    return [sentence.format(count) for sentence, count in counts.items() if count]


def _sum(frame: pl.DataFrame, column: str, noun: str) -> str:
    return _count(int(frame[column].sum()), noun)


def _count(number: int, noun: str) -> str:
    return count_of(number, noun) if number else ""


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
