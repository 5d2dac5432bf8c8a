"""What `explain-change` does: read two periods, have the difference taken apart, tell it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from pipeline.console.plain_text import plain_line
from pipeline.console.tables import count_of, frame_table, join_counts, stdout_console
from pipeline.errors import ConfigurationError
from pipeline.money.cost_cells import Grouping, PeriodCosts, count_undated, parse_grouping, read_costs
from pipeline.money.cost_change import GroupChange
from pipeline.money.periods import Period, choose_periods
from pipeline.money.reasons import Explanation, display_unit, explain_costs, label_part, write_sentence, write_usd
from pipeline.money.shapley import round_parts
from pipeline.settings.invocation import Settings
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.verbs.money import print_json
from pipeline.warehouse.database import open_for_reading, warehouse_path

_MOST_GROUPS = 20
_USD = pl.Decimal(38, 6)
_DAYS = "select min(created_on) as first_on, max(created_on) as last_on from usage_costs"

_SOURCES = "select source from runs union select source from run_steps order by source"


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """What `explain-change` is asked: periods, what to group by, and one source or all."""

    from_text: str | None = None
    to_text: str | None = None
    by: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """Everything that is told of the two periods."""

    periods: tuple[Period, Period]
    costs: tuple[PeriodCosts, PeriodCosts]
    grouping: Grouping
    found: Explanation
    undated: int
    days: tuple[date | None, date | None]


def print_change(settings: Settings, request: ChangeRequest, *, as_json: bool) -> None:
    """The difference in cost between two periods, and why, on stdout."""
    today = datetime.now(UTC).date()
    periods, grouping = choose_periods(request.from_text, request.to_text, today=today), parse_grouping(request.by)
    with open_for_reading(warehouse_path(settings.data_dir)) as connection:
        told = _read(connection, periods, grouping, source=request.source)
    if as_json:
        print_json(_as_json(told))
        return
    _print_tables(told)
    for note in _notes(told, today=today):
        print(note)


def _read(connection: Connection, periods: tuple[Period, Period], grouping: Grouping, *, source: str | None) -> _Told:
    sources = read_frame(connection, _SOURCES)["source"].to_list()
    if source is not None and source not in sources:
        raise ConfigurationError(f"--source {source!r}: the warehouse holds {', '.join(sources) or 'none'}")
    before, after = (read_costs(connection, period, grouping, source=source) for period in periods)
    [days] = read_frame(connection, _DAYS).rows()
    found = explain_costs(before, after, grouping)
    return _Told(periods, (before, after), grouping, found, count_undated(connection, source=source), days)


def _print_tables(told: _Told) -> None:
    found, console = told.found, stdout_console()
    before, after = told.periods
    if not any(costs.cells or costs.fees_usd for costs in told.costs):
        return
    print(f"{after.name} beside {before.name}: {write_sentence(found)}.")
    unit = display_unit([found.from_usd, found.to_usd, *(reason.usd for reason in found.reasons)])
    print(
        f"{before.name} cost {_rounded(found.from_usd, unit):,f} USD, {after.name} {_rounded(found.to_usd, unit):,f}.\n"
    )
    console.print(frame_table(_parts_frame(found, unit)))
    if told.grouping.by != "all":
        shown = found.groups[:_MOST_GROUPS]
        console.print(
            frame_table(_groups_frame(shown, told, unit), title=f"\nBy {told.grouping.key or told.grouping.by}")
        )
        if others := found.groups[_MOST_GROUPS:]:
            rest = sum((Fraction(group.change_usd) for group in others), Fraction(0))
            [[rounded], _] = round_parts([rest], rest, unit)
            print(f"({count_of(len(others), 'more')}: {write_usd(rounded)} USD; --json has all)")


def _parts_frame(found: Explanation, unit: Decimal) -> pl.DataFrame:
    """The reasons, as they add up when they are rounded, and their sum."""
    rounded, total = round_parts([Fraction(each.usd) for each in found.reasons], Fraction(found.change_usd), unit)
    rows = [
        (each.label, usd, _share(each.usd, found.change_usd), _figure(each.before), _figure(each.after))
        for each, usd in zip(found.reasons, rounded, strict=True)
    ]
    rows.append(("together", total, _share(found.change_usd, found.change_usd), None, None))
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "part": pl.String,
        "change_usd": _USD,
        "share_of_change": pl.Float64,
        "before": pl.Float64,
        "after": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _groups_frame(groups: Sequence[GroupChange], told: _Told, unit: Decimal) -> pl.DataFrame:
    rows = [
        (
            _name(group.group, told.grouping),
            *(_rounded(usd, unit) for usd in (group.from_usd, group.to_usd, group.change_usd)),
            _largest_reason(group, told.grouping, unit),
        )
        for group in groups
    ]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "group": pl.String,
        "from_usd": _USD,
        "to_usd": _USD,
        "change_usd": _USD,
        "mostly": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _largest_reason(group: GroupChange, grouping: Grouping, unit: Decimal) -> str:
    part = max(group.parts, key=lambda name: abs(group.parts[name]))
    usd = _rounded(group.parts[part], unit)
    return f"{write_usd(usd)} {label_part(part, grouping)}" if usd else ""


def _name(group: str | None, grouping: Grouping) -> str:
    if group is not None:
        return plain_line(group)
    return "(no tool)" if grouping.by == "tool" else "(unknown)"


def _notes(told: _Told, *, today: date) -> list[str]:
    """What the figures leave out, and what makes the periods unlike."""
    before, after = told.periods
    notes = []
    if not any(costs.cells or costs.fees_usd for costs in told.costs):
        has = f"usage from {told.days[0]} to {told.days[1]}" if told.days[0] else "no usage at all"
        notes.append(f"nothing in {before.name} or {after.name} has a known cost; the warehouse has {has}")
    for period, costs in zip(told.periods, told.costs, strict=True):
        unknown = [
            ("steps", costs.unpriced_steps),
            ("run rests", costs.unpriced_rests),
            ("fees", costs.unknown_fees),
        ]
        if found := [pair for pair in unknown if pair[1]]:
            tokens = (
                f" ({count_of(costs.unpriced_tokens, 'tokens')})" if costs.unpriced_steps + costs.unpriced_rests else ""
            )
            notes.append(f"not in it: {join_counts(found)}{tokens} of {period.name} without a known cost")
    if told.undated:
        notes.append(f"not in it: {told.undated:,} of steps, rests and fees that nobody knows the day of")
    if after.days != before.days:
        notes.append(f"{before.name} has {count_of(before.days, 'days')}, {after.name} has {after.days:,}")
    notes += [
        f"{period.name} is not over: it ends on {period.last_on}" for period in told.periods if period.last_on >= today
    ]
    return notes


def _as_json(told: _Told) -> dict[str, Any]:
    found = told.found
    sides = zip(("from", "to"), told.periods, told.costs, (found.from_usd, found.to_usd), strict=True)
    return {
        **{name: _side(period, costs, usd) for name, period, costs, usd in sides},
        "by": told.grouping.key or told.grouping.by,
        "change_usd": _plain(found.change_usd),
        "summary": write_sentence(found),
        "parts": [
            {
                "part": each.part,
                "what": each.label,
                "change_usd": _plain(each.usd),
                "share_of_change": _share(each.usd, found.change_usd),
                "before": _figure(each.before),
                "after": _figure(each.after),
            }
            for each in found.reasons
        ],
        "groups": [
            {
                "group": group.group,
                "from_usd": _plain(group.from_usd),
                "to_usd": _plain(group.to_usd),
                "change_usd": _plain(group.change_usd),
                "parts": {part: _plain(usd) for part, usd in group.parts.items() if usd},
            }
            for group in (found.groups if told.grouping.by != "all" else ())
        ],
        "undated": told.undated,
    }


def _side(period: Period, costs: PeriodCosts, usd: Decimal) -> dict[str, Any]:
    return {
        "period": period.name,
        "first_on": period.first_on,
        "last_on": period.last_on,
        "cost_usd": _plain(usd),
        "fees_usd": _plain(costs.fees_usd),
        "unpriced_steps": costs.unpriced_steps,
        "unpriced_rests": costs.unpriced_rests,
        "unpriced_tokens": costs.unpriced_tokens,
        "unknown_fees": costs.unknown_fees,
    }


def _plain(usd: Decimal) -> str:
    return f"{usd:.12f}"


def _rounded(usd: Decimal, unit: Decimal) -> Decimal:
    return round_parts([], Fraction(usd), unit)[1]


def _share(part: Decimal, whole: Decimal) -> float | None:
    return float(Fraction(part) / Fraction(whole)) if whole else None


def _figure(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
