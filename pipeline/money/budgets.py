"""Budgets: what may be spent per day, week or month, what was, and what it comes to at this pace."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from pipeline.console.tables import count_of, format_decimal
from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.warehouse.checks import Finding, Level

BUDGETS_FILE = "budgets.toml"
_CENT = Decimal("0.01")
_PERIOD_NAMES = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}

# What counts is of a day; usage that nobody can place may be of this period, and is told.
_IN_PERIOD = "created_on is null or (created_on >= $start and created_on < $end)"
_WHOLE_SPEND = f"""
spending as (
    select kind, source, thread_id, run_id, assistant_id, model, cost_usd, fee_usd,
        unpriced_reason is not null or (kind = 'fee' and fee_usd is null) as is_unknown
    from spending
    where {_IN_PERIOD}
)"""
# A tool's part of a step's cost is that of its calls; every other budget counts all usage.
_TOOL_SPEND = f"""
spending as (
    select 'call' as kind, source, thread_id, run_id, assistant_id, model, cost_usd, null as fee_usd,
        cost_usd is null as is_unknown
    from tool_call_costs
    where name = $tool and ({_IN_PERIOD})
    union all by name
    select kind, source, thread_id, run_id, assistant_id, model, cost_usd, fee_usd, fee_usd is null as is_unknown
    from spending
    where kind = 'fee' and starts_with(fee_kind, $tool) and ({_IN_PERIOD})
)"""
_SUMS = """
select
    cast(sum(spending.cost_usd) as decimal(38, 12)) as cost_usd,
    cast(sum(spending.fee_usd) as decimal(38, 12)) as fee_usd,
    count(*) filter (where is_unknown and spending.kind = 'step') as unpriced_steps,
    count(*) filter (where is_unknown and spending.kind = 'call') as unpriced_calls,
    count(*) filter (where is_unknown and spending.kind = 'run_rest') as unpriced_rests,
    count(*) filter (where is_unknown and spending.kind = 'fee') as unknown_fees
from spending
left join runs on runs.source = spending.source and runs.thread_id = spending.thread_id
    and runs.run_id = spending.run_id
where true
"""


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[budget]]` of `budgets.toml`: `warn_usd`, `fail_usd` or both; what is left out is not filtered by.

    `fees`: whether fees of tools count (None: they do not, and that is told). `unknown`: what it comes to that some of
    the spend is unknown.
    """

    name: str
    per: Literal["day", "week", "month"]
    warn_usd: Decimal | None = None
    fail_usd: Decimal | None = None
    forecast: Literal["off", "warn", "fail"] = "warn"
    fees: bool | None = None
    unknown: Literal["ignore", "warn", "fail"] = "warn"
    source: str | None = None
    assistant: str | None = None
    model: str | None = None
    tool: str | None = None
    metadata: dict[str, str] = {}


class BudgetsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`budgets.toml`."""

    budget: list[Budget] = []


@dataclass(frozen=True, slots=True)
class Spend:
    """What a budget's period has cost so far: UTC dates, `end` is not in it; `forecast_usd` is for the whole period.

    `left_out` names spend that is not in `spent_usd` and may belong there.
    """

    budget: Budget
    start: date
    end: date
    spent_usd: Decimal
    forecast_usd: Decimal
    left_out: Sequence[str] = ()


def read_budgets(path: Path) -> list[Budget]:
    """The budgets of a file. Raises ConfigurationError naming the file and the place."""
    try:
        file = msgspec.convert(tomllib.loads(path.read_text("utf-8"), parse_float=Decimal), BudgetsFile)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    for budget in file.budget:
        limits = [limit for limit in (budget.warn_usd, budget.fail_usd) if limit is not None]
        if not limits or any(not limit.is_finite() or limit < 0 for limit in limits):
            raise ConfigurationError(f"{path}: budget {budget.name!r} needs warn_usd or fail_usd, 0 or more")
    names = [budget.name for budget in file.budget]
    if doubles := {name for name in names if names.count(name) > 1}:
        raise ConfigurationError(f"{path}: two budgets are named {min(doubles)!r}")
    return file.budget


def period_of(per: str, day: date) -> tuple[date, date]:
    """First day of the day's period and first day after it; weeks begin on Monday."""
    if per == "day":
        return day, day + timedelta(days=1)
    if per == "week":
        start = day - timedelta(days=day.weekday())
        return start, start + timedelta(days=7)
    start = day.replace(day=1)
    return start, (start + timedelta(days=31)).replace(day=1)


def read_spend(connection: Connection, budget: Budget, *, now: datetime) -> Spend:
    """What the period that holds this instant has cost; the forecast goes on at the pace so far."""
    start, end = period_of(budget.per, now.astimezone(UTC).date())
    sql, params = _filtered(budget, {"start": start, "end": end})
    [row] = read_frame(connection, sql, params).to_dicts()
    # No usage at all costs nothing: here 0 is the sum; what is unknown is among `left_out`.
    spent = (row["cost_usd"] or Decimal(0)) + ((row["fee_usd"] or Decimal(0)) if budget.fees else Decimal(0))
    whole, elapsed = (_seconds(start, until) for until in (_midnight(end), now))
    forecast = (spent * whole / max(elapsed, Decimal(1))).quantize(_CENT)
    return Spend(budget, start, end, spent, max(forecast, spent), _left_out(budget, row))


def judge_spend(spend: Spend) -> Finding | None:
    """The breach, if there is one: spent above a limit, a forecast above it, or spend that nobody knows."""
    budget = spend.budget
    limit, what, level = _worst_breach(spend)
    if spend.left_out and budget.unknown != "ignore" and level != "fail":
        level = budget.unknown
    if level is None:
        return None
    return Finding("budget", budget.name, level, _message(spend, limit, what))


def _worst_breach(spend: Spend) -> tuple[Decimal | None, str, Level | None]:
    budget = spend.budget
    fail, warn, spent, forecast = budget.fail_usd, budget.warn_usd, spend.spent_usd, spend.forecast_usd
    highest = warn if fail is None else fail
    # Worst first; the forecast is held against the highest limit that there is.
    rules: list[tuple[Level, Decimal | None, str, Decimal]] = [("fail", fail, "spent", spent)]
    rules += [("fail", fail, "forecast", forecast)] if budget.forecast == "fail" else []
    rules += [("warn", warn, "spent", spent)]
    rules += [("warn", highest, "forecast", forecast)] if budget.forecast != "off" else []
    for level, limit, what, value in rules:
        if limit is not None and value > limit:
            return limit, what, level
    return highest, "known", None


def check_budgets(connection: Connection, budgets: list[Budget], *, now: datetime) -> list[Finding]:
    """Breaches of the budgets in the periods that hold this instant, in the order of the file."""
    return [finding for budget in budgets if (finding := judge_spend(read_spend(connection, budget, now=now)))]


def _filtered(budget: Budget, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    sql = f"with {_WHOLE_SPEND if budget.tool is None else _TOOL_SPEND}{_SUMS}"
    values = {"source": budget.source, "assistant_id": budget.assistant, "model": budget.model}
    for column, value in values.items():
        if value is not None:
            sql += f" and spending.{column} = ${column}"
            params[column] = value
    if budget.tool is not None:
        params["tool"] = budget.tool
    for index, (key, value) in enumerate(budget.metadata.items()):
        sql += f" and json_extract_string(runs.metadata, $path_{index}) = $value_{index}"
        escaped = key.replace('"', '\\"')
        params |= {f"path_{index}": f'$."{escaped}"', f"value_{index}": value}
    return sql, params


def _left_out(budget: Budget, row: dict[str, Any]) -> list[str]:
    """What the sum does not hold, in words."""
    nouns = {
        "unpriced_steps": "steps without a known cost",
        "unpriced_calls": "calls without a known cost",
        "unpriced_rests": "runs with usage beyond their steps without a known cost",
        "unknown_fees": "fees that nobody knows",
    }
    if budget.fees is not True:
        nouns.pop("unknown_fees")
    named = [_counted(row[name], text) for name, text in nouns.items() if row[name]]
    if budget.fees is None and (row["fee_usd"] or row["unknown_fees"]):
        fees = f"{_usd(row['fee_usd'])} USD of fees" if row["fee_usd"] else "fees that nobody knows"
        named.append(f"{fees} (`fees = true` counts them, `false` does not and is silent)")
    return named


def _counted(number: int, text: str) -> str:
    noun, rest = text.split(" ", 1)
    return f"{count_of(number, noun)} {rest}"


def _message(spend: Spend, limit: Decimal | None, what: str) -> str:
    spent, forecast, most = (_usd(value or Decimal(0)) for value in (spend.spent_usd, spend.forecast_usd, limit))
    period = f"{spend.budget.per} {spend.start:{_PERIOD_NAMES[spend.budget.per]}}"
    if what == "spent":
        text = f"{period}: spent {spent} USD of {most}, at this pace {forecast} by {spend.end}"
    elif what == "known":
        text = f"{period}: spent {spent} USD of {most} that are known"
    else:
        text = f"{period}: at this pace {forecast} USD by {spend.end}, the limit is {most} (spent so far: {spent})"
    if spend.budget.fees:
        text += ", fees included"
    return text + (f"; not in it: {', '.join(spend.left_out)}" if spend.left_out else "")


def _usd(value: Decimal) -> str:
    return format_decimal(value.quantize(_CENT) if value >= _CENT else value.normalize(), least_digits=2)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _seconds(start: date, until: datetime) -> Decimal:
    return Decimal(int((until - _midnight(start)).total_seconds()))
