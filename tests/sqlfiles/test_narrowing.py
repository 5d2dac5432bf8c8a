"""What is of some days: periods that follow on each other have together what all days have."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.money.periods import Period, parse_days
from pipeline.verbs.query.command import ask
from pipeline.warehouse.database import warehouse_path
from tests.archived import import_here, run_object, step_object, write_json
from tests.warehouses import make_sample

TODAY = date(2026, 1, 1)
SPLITS = ("2026-04-30",)
# What adds up over days, by the SQL that sums it; runs that go on into another period are in both.
ADDITIVE = {
    "cost": "select sum(cost_usd) as n from run_costs",
    "fees": "select sum(fee_usd) as n from tool_fees",
    "cost by day": "select sum(cost_usd) as n from daily_spend",
    "cost by assistant": "select sum(cost_usd) as n from assistant_spend",
    "cost of calls": "select sum(cost_usd) as n from tool_call_costs",
    "cost of threads": "select sum(cost_usd) as n from thread_costs",
    "tokens without a price": "select sum(total_tokens) as n from unpriced_usage",
    "steps": "select count(*) as n from run_steps",
    "calls": "select count(*) as n from tool_calls",
    "calls of tools": "select sum(calls) as n from tool_usage",
    "failures": "select count(*) as n from tool_failures",
    "hits": "select count(*) as n from file_search_results",
    "logs": "select count(*) as n from code_interpreter_outputs",
    "sessions": "select count(*) as n from code_interpreter_sessions",
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("narrowing"))


def number(sample: Path, sql: str, period: Period | None = None) -> Decimal:
    value = ask(sample, sql, {}, period=period).frame.item()
    return Decimal(0) if value is None else Decimal(value)


@pytest.mark.parametrize("what", ADDITIVE)
def test_two_periods_add_up_to_all_days(sample: Path, what: str) -> None:
    whole = number(sample, ADDITIVE[what])
    assert whole > 0
    for split in SPLITS:
        first, second = parse_days(None, split, today=TODAY), parse_days(split, None, today=TODAY)
        on_it = parse_days(split, split, today=TODAY)

        parts = [number(sample, ADDITIVE[what], period) for period in (first, second, on_it)]

        # The day of the split is in both.
        assert parts[0] + parts[1] - parts[2] == whole


def test_a_run_that_goes_on_is_in_both_periods_with_the_cost_of_its_steps_there(tmp_path: Path) -> None:
    steps = [step_object("step_1", at=0), step_object("step_2", at=86_400, total=20)]
    import_here(tmp_path, write_json(tmp_path / "night.json", [run_object(model="gpt-4-1106-preview"), *steps]))
    warehouse = warehouse_path(tmp_path)
    [(first_on, last_on)] = ask(warehouse, "select min(created_on), max(created_on) from usage_costs", {}).frame.rows()
    days = [parse_days(str(day), str(day), today=TODAY) for day in (first_on, last_on)]

    first, second = (number(warehouse, "select sum(cost_usd) as n from run_costs", day) for day in days)

    # 5 prompt and 5 completion tokens and the run's rest of 5, then 15 and 5: 10 and 30 USD per million.
    assert (first, second) == (Decimal("0.00035"), Decimal("0.0003"))
    assert first + second == number(warehouse, "select sum(cost_usd) as n from run_costs")
    assert [number(warehouse, "select count(*) as n from runs", day) for day in days] == [1, 1]


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        ("30d", None, (date(2025, 12, 2), date.max)),
        ("4w", "1w", (date(2025, 12, 4), date(2025, 12, 25))),
        ("2025", "2025", (date(2025, 1, 1), date(2025, 12, 31))),
        ("2025-02", "2025-02", (date(2025, 2, 1), date(2025, 2, 28))),
        ("2025-W01", "2025-03-05", (date(2024, 12, 30), date(2025, 3, 5))),
    ],
)
def test_bounds_are_days_months_weeks_years_and_ages(
    since: str | None, until: str | None, days: tuple[date, date]
) -> None:
    period = parse_days(since, until, today=TODAY)

    assert period is not None
    assert (period.first_on, period.last_on) == days
