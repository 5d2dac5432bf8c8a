"""The dearest days of a report: how each differs from a usual one, and the runs that it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from pipeline.report.values import shorten, show

# With fewer days there is no usual one.
_FEWEST_DAYS = 4
_DIFFERS = Decimal("1.2")
# A model is a reason when it has half of a day, and so much more of it than of all days.
_HALF, _MORE = 0.5, 1.3
_ALONE = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class RunLink:
    """A run by the place of its row in the table of the dearest runs."""

    place: int
    text: str
    spent_usd: Decimal


@dataclass(frozen=True, slots=True)
class DearDay:
    """One day that cost more than a usual one, with the reasons as short texts."""

    day: date
    spent_usd: Decimal
    times: str
    reasons: Sequence[str]
    runs: Sequence[RunLink]


def explain_days(days: pl.DataFrame, runs: pl.DataFrame) -> list[DearDay]:
    """The frame `dearest_days` in words, each with its runs of `dearest_runs`; empty where no day stands out."""
    found = []
    for row in days.iter_rows(named=True):
        if row["days"] < _FEWEST_DAYS or row["spent_usd"] < _DIFFERS * row["usual_usd"]:
            continue
        times = f"{row['spent_usd'] / row['usual_usd']:,.1f} times a usual day"
        found.append(DearDay(row["day"], row["spent_usd"], times, _reasons(row), _links(row["day"], runs)))
    return found


def _reasons(row: Mapping[str, Any]) -> list[str]:
    reasons = []
    if row["runs"] >= _DIFFERS * row["usual_runs"]:
        reasons.append(f"{row['runs']:,} runs, where a usual day has {row['usual_runs']:,}")
    if row["runs"] and row["usual_runs"]:
        a_run, usual = row["spent_usd"] / row["runs"], row["usual_usd"] / row["usual_runs"]
        if a_run >= _DIFFERS * usual:
            reasons.append(f"{show(a_run, 'money')} a run, where a usual day has {show(usual, 'money')}")
    if row["dearest_run_usd"] >= _ALONE * row["spent_usd"] and row["runs"] > 1:
        reasons.append(f"one run alone cost {show(row['dearest_run_usd'], 'money')}")
    share, usual_share = row["model_share"] or 0, row["usual_model_share"] or 0
    if share >= _HALF and share >= _MORE * usual_share:
        model = row["model"] or "an unknown model"
        reasons.append(f"{share:.0%} of it for {model}, which has {usual_share:.0%} of all days")
    return reasons or ["a little more of everything"]


def _links(day: date, runs: pl.DataFrame) -> list[RunLink]:
    links = [
        RunLink(place, shorten(row["run_id"]), row["spent_usd"])
        for place, row in enumerate(runs.iter_rows(named=True), start=1)
        if day in (row["dearest_days"] or ())
    ]
    return sorted(links, key=lambda link: -link.spent_usd)
