"""Spend over time as bars, each stacked by model: the geometry of a chart whose words are HTML, readable on a phone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import polars as pl

# Bars of a day up to this many days, then of a week, then of a month.
_LONGEST_BY_DAY = 130
_LONGEST_BY_WEEK = 700
_EVERY = {"day": "1d", "week": "1w", "month": "1mo"}
_WIDTH = 1000
_HEIGHT = Decimal(100)
_GAP = 0.15
_WIDEST = 60
_ROUND = ("1", "1.5", "2", "3", "4", "5", "6", "8", "10")
# Models with a colour of their own; the others share one.
_MOST_MODELS = 6
FEES = "fees of tools"
# A bar more than so many times as high as nine in ten is cut, or nobody would see those.
_TALLEST = 3


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the chart: what it stands for, and what that cost over all the time."""

    name: str
    place: int
    spent_usd: Decimal


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that is of one series, in a box of 1000 x 100."""

    series: Series
    spent_usd: Decimal
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar from the ground up; `is_cut`: it would be higher than the axis, and its parts share the whole height."""

    starts_on: date
    spent_usd: Decimal
    x: float
    width: float
    is_cut: bool
    segments: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Bars without gaps in time; `unit` is day, week or month; `top_usd` is the upper end of the axis."""

    unit: str
    bars: Sequence[Bar]
    series: Sequence[Series]
    top_usd: Decimal

    @property
    def dearest(self) -> Bar:
        """The highest bar, the first of several."""
        return max(self.bars, key=lambda bar: bar.spent_usd)

    @property
    def cut(self) -> Sequence[Bar]:
        """Bars that are higher than the axis."""
        return [bar for bar in self.bars if bar.is_cut]

    @property
    def day_labels(self) -> Sequence[date]:
        """First, middle and last bar, each once."""
        places = dict.fromkeys((0, len(self.bars) // 2, len(self.bars) - 1))
        return [self.bars[place].starts_on for place in places]


def draw_spend(day_models: pl.DataFrame) -> TimeChart | None:
    """The chart of the frame `day_models`; None when nothing has a known cost above 0."""
    spent = day_models.filter(pl.col("spent_usd") > 0)
    first, last = day_models["day"].min(), day_models["day"].max()
    if spent.is_empty() or not isinstance(first, date) or not isinstance(last, date):
        return None
    unit = _choose_unit((last - first).days + 1)
    names, series = _choose_series(spent)
    sums: dict[date, dict[str, Decimal]] = {}
    starts = spent["day"].dt.truncate(_EVERY[unit])
    for start, name, usd in zip(starts, names, spent["spent_usd"], strict=True):
        of_bar = sums.setdefault(start, {})
        of_bar[name] = of_bar.get(name, Decimal(0)) + usd
    top = _round_up(axis_end([sum(of_bar.values(), Decimal(0)) for of_bar in sums.values()]))
    days = list(_starts(_start_of(first, unit), last, unit))
    bars = [_bar(place, len(days), day, sums.get(day, {}), series, top) for place, day in enumerate(days)]
    return TimeChart(unit, bars, series, top)


def axis_end(values: Sequence[Decimal]) -> Decimal:
    """The largest value that an axis should show in full: an outlier must not flatten the rest."""
    ordered = sorted(values)
    usual = ordered[(len(ordered) - 1) * 9 // 10]
    return max(value for value in ordered if value <= _TALLEST * usual)


def _choose_series(spent: pl.DataFrame) -> tuple[list[str], list[Series]]:
    """The series of each row, and all of them: the dearest models, the others together, fees at last."""
    sums = spent.filter(~pl.col("is_fee")).group_by("model").agg(pl.col("spent_usd").sum())
    models = sums.sort("spent_usd", "model", descending=[True, False], nulls_last=True)["model"].to_list()
    # One more alone is no fewer than "1 other".
    named = models if len(models) == _MOST_MODELS + 1 else models[:_MOST_MODELS]
    others = f"{len(models) - len(named)} other models"
    labels = {model: "model unknown" if model is None else model for model in named}
    names = [
        FEES if is_fee else labels.get(model, others)
        for model, is_fee in zip(spent["model"], spent["is_fee"], strict=True)
    ]
    totals: dict[str, Decimal] = dict.fromkeys((*labels.values(), others, FEES), Decimal(0))
    for name, usd in zip(names, spent["spent_usd"], strict=True):
        totals[name] += usd
    found = [(name, usd) for name, usd in totals.items() if usd]
    return names, [Series(name, place, usd) for place, (name, usd) in enumerate(found)]


def _bar(
    place: int, count: int, day: date, found: Mapping[str, Decimal], series: Sequence[Series], top: Decimal
) -> Bar:
    step = _WIDTH / count
    width = min(step * (1 - _GAP), _WIDEST)
    spent = sum(found.values(), Decimal(0))
    scale = _HEIGHT / max(top, spent)
    segments, ground = [], _HEIGHT
    for each in series:
        if usd := found.get(each.name):
            ground -= usd * scale
            segments.append(Segment(each, usd, round(float(ground), 2), round(float(usd * scale), 2)))
    x = round(place * step + (step - width) / 2, 2)
    return Bar(day, spent, x, round(width, 2), spent > top, segments)


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
