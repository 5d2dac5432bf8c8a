"""The period of a report beside the one before it: what changed, and why."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
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
    """Two periods, the change between them in a sentence, and its parts as a frame; rounded, they add up."""

    before: Period
    after: Period
    sentence: str
    parts: pl.DataFrame


def compare_periods(
    connection: Connection, *, source: str | None, since: date | None, last_on: date | None, now: datetime
) -> PeriodChange | None:
    """The days since then beside as many before; without a day the last whole month with usage beside the one before.

    None where one of the two has nothing with a known cost.
    """
    periods = _periods(since, last_on, now.astimezone(UTC).date())
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
    return PeriodChange(*periods, write_sentence(found), pl.DataFrame(rows, schema=_SCHEMA, orient="row"))


def no_parts() -> pl.DataFrame:
    """The frame of a change that nobody knows."""
    return pl.DataFrame(schema=_SCHEMA)


def _periods(since: date | None, last_on: date | None, today: date) -> tuple[Period, Period] | None:
    if last_on is None:
        return None
    if since is None:
        month = parse_period(f"{last_on:%Y-%m}", today=today, where="the last day of usage")
        return choose_periods(None, (month if month.last_on < today else month.before()).name, today=today)
    # As many days before it as it has: not where time begins.
    if since > today or (today - since).days + 1 >= since.toordinal():
        return None
    before = since - timedelta(days=(today - since).days + 1)
    return choose_periods(f"{before}..{since - timedelta(days=1)}", f"{since}..{today}", today=today)
