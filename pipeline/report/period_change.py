"""The period of a report beside the one before it: what changed, and why."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl

from pipeline.money.cost_cells import Grouping, read_costs
from pipeline.money.periods import Period, choose_periods, parse_period
from pipeline.money.reasons import display_unit, explain_costs, write_sentence
from pipeline.money.shapley import round_parts
from pipeline.sqlfiles.duck import Connection

_SCHEMA: dict[str, pl.DataType] = {
    "reason": pl.String(),
    "change_usd": pl.Decimal(38, 6),
    "share": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class PeriodChange:
    """Two periods with what each cost, fees included, and the change: its parts as a frame add up, rounded.

    `unpriced` are steps and rests of runs without a cost, of the one before and the one after.
    """

    before: Period
    after: Period
    before_usd: Decimal
    after_usd: Decimal
    unpriced: tuple[int, int]
    sentence: str
    parts: pl.DataFrame


def compare_periods(
    connection: Connection,
    days: tuple[date | None, date | None],
    *,
    source: str | None,
    last_on: date | None,
    now: datetime,
) -> PeriodChange | None:
    """The days from one to another beside as many before; without a first the last whole month with usage.

    None where one of the two has nothing with a known cost.
    """
    periods = _periods(*days, last_on, now.astimezone(UTC).date())
    if periods is None:
        return None
    grouping = Grouping("all")
    costs = [read_costs(connection, period, grouping, source=source) for period in periods]
    if not all(each.cells for each in costs):
        return None
    found = explain_costs(costs[0], costs[1], grouping)
    usd = [reason.usd for reason in found.reasons]
    unit = display_unit([found.from_usd, found.to_usd, *usd])
    rounded, _ = round_parts([Fraction(each) for each in usd], Fraction(found.change_usd), unit)
    whole = Fraction(found.change_usd)
    rows = [
        (reason.label, shown, float(Fraction(reason.usd) / whole) if whole else None)
        for reason, shown in zip(found.reasons, rounded, strict=True)
        if reason.usd
    ]
    parts = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    unpriced = (costs[0].unpriced_steps + costs[0].unpriced_rests, costs[1].unpriced_steps + costs[1].unpriced_rests)
    return PeriodChange(*periods, found.from_usd, found.to_usd, unpriced, write_sentence(found), parts)


def no_parts() -> pl.DataFrame:
    """The frame of a change that nobody knows."""
    return pl.DataFrame(schema=_SCHEMA)


def _periods(since: date | None, until: date | None, last_on: date | None, today: date) -> tuple[Period, Period] | None:
    if last_on is None:
        return None
    if since is None:
        month = parse_period(f"{last_on:%Y-%m}", today=today, where="the last day of usage")
        is_whole = month.last_on < today and (until is None or month.last_on <= until)
        return choose_periods(None, (month if is_whole else month.before()).name, today=today)
    end = today if until is None else until
    days = (end - since).days + 1
    # As many days before it as it has: not where time begins.
    if days < 1 or days >= since.toordinal():
        return None
    before = since - timedelta(days=days)
    return choose_periods(f"{before}..{since - timedelta(days=1)}", f"{since}..{end}", today=today)
