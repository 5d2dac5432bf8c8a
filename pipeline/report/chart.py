"""Spend over time as bars: the geometry of a chart whose words are HTML, so that they stay readable on a phone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import polars as pl

# Bars of a day up to this many days, then of a week, then of a month.
_LONGEST_BY_DAY = 130
_LONGEST_BY_WEEK = 700
_EVERY = {"day": "1d", "week": "1w", "month": "1mo"}
_WIDTH = 1000
_HEIGHT = 100
_GAP = 0.15
_WIDEST = 60
_ROUND = ("1", "1.5", "2", "3", "4", "5", "6", "8", "10")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar in a box of 1000 x 100; `cost_usd` is null where no cost is known."""

    starts_on: date
    cost_usd: Decimal | None
    unpriced_steps: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Bars without gaps in time; `unit` is day, week or month; `top_usd` is the upper end of the axis."""

    unit: str
    bars: list[Bar]
    top_usd: Decimal

    @property
    def dearest(self) -> Bar:
        """The highest bar, the first of several."""
        return max(self.bars, key=lambda bar: bar.cost_usd or Decimal(0))

    @property
    def day_labels(self) -> list[date]:
        """First, middle and last bar, each once."""
        places = dict.fromkeys((0, len(self.bars) // 2, len(self.bars) - 1))
        return [self.bars[place].starts_on for place in places]


def draw_spend(by_day: pl.DataFrame) -> TimeChart | None:
    """The chart of the frame `spend_by_day`; None when nothing has a known cost above 0."""
    if not by_day["cost_usd"].sum():
        return None
    first, last = by_day["day"].min(), by_day["day"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        return None
    unit = _choose_unit((last - first).days + 1)
    sums = by_day.group_by(pl.col("day").dt.truncate(_EVERY[unit])).agg(
        pl.col("cost_usd").sum(), pl.col("cost_usd").count().alias("priced"), pl.col("unpriced_steps").sum()
    )
    found = {day: (cost if priced else None, unpriced) for day, cost, priced, unpriced in sums.iter_rows()}
    top = _round_up(max(cost for cost, _ in found.values() if cost is not None))
    starts = list(_starts(_start_of(first, unit), last, unit))
    return TimeChart(
        unit, [_bar(place, len(starts), start, found.get(start), top) for place, start in enumerate(starts)], top
    )


def _bar(place: int, count: int, start: date, found: tuple[Decimal | None, int] | None, top: Decimal) -> Bar:
    cost, unpriced = found or (Decimal(0), 0)
    step = _WIDTH / count
    width = min(step * (1 - _GAP), _WIDEST)
    height = float((cost or Decimal(0)) / top) * _HEIGHT
    return Bar(
        start,
        cost,
        unpriced,
        x=round(place * step + (step - width) / 2, 2),
        y=round(_HEIGHT - height, 2),
        width=round(width, 2),
        height=round(height, 2),
    )


def _choose_unit(days: int) -> str:
    return "day" if days <= _LONGEST_BY_DAY else "week" if days <= _LONGEST_BY_WEEK else "month"


def _start_of(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _starts(first: date, last: date, unit: str) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        # 31 days after the first of a month is always in the next one.
        day = _start_of(day + timedelta(days={"day": 1, "week": 7, "month": 31}[unit]), unit)


def _round_up(value: Decimal) -> Decimal:
    """The next round number: an end of an axis that a person can halve."""
    power = Decimal(10) ** value.adjusted()
    return next(step * power for step in map(Decimal, _ROUND) if step * power >= value)
