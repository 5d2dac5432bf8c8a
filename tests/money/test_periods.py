"""Periods as people write them, and the one before each."""

from datetime import date

import pytest

from pipeline.errors import ConfigurationError
from pipeline.money.periods import choose_periods, parse_period

TODAY = date(2026, 10, 15)


@pytest.mark.parametrize(
    ("text", "first_on", "last_on", "before"),
    [
        ("2026", "2026-01-01", "2026-12-31", "2025-01-01 2025-12-31"),
        ("2026-03", "2026-03-01", "2026-03-31", "2026-02-01 2026-02-28"),
        ("2026-01", "2026-01-01", "2026-01-31", "2025-12-01 2025-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29", "2024-01-01 2024-01-31"),
        ("9999-12", "9999-12-01", "9999-12-31", "9999-11-01 9999-11-30"),
        ("2026-W40", "2026-09-28", "2026-10-04", "2026-09-21 2026-09-27"),
        ("2026-W01", "2025-12-29", "2026-01-04", "2025-12-22 2025-12-28"),
        ("2026-09-30", "2026-09-30", "2026-09-30", "2026-09-29 2026-09-29"),
        ("2026-09-01..2026-09-30", "2026-09-01", "2026-09-30", "2026-08-02 2026-08-31"),
        ("2026-09..2026-10", "2026-09-01", "2026-10-31", "2026-07-02 2026-08-31"),
        (" 2026-09-10 .. 2026-W40 ", "2026-09-10", "2026-10-04", "2026-08-16 2026-09-09"),
        ("30d", "2026-09-15", "2026-10-14", "2026-08-16 2026-09-14"),
    ],
)
def test_a_period_has_its_days_and_one_before_it(text: str, first_on: str, last_on: str, before: str) -> None:
    period = parse_period(text, today=TODAY, where="--to")

    assert (str(period.first_on), str(period.last_on)) == (first_on, last_on)
    assert f"{period.before().first_on} {period.before().last_on}" == before
    assert parse_period(period.name, today=TODAY, where="--to") == period


@pytest.mark.parametrize(
    "text", ["", "..", "2026-13", "2026-W54", "2026-02-30", "0d", "99999d", "may", "2026-09..", "0000"]
)
def test_what_is_no_period_is_refused_with_where_it_stands(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"--to '.*' (is no period: write 2026, 2026-09|ends before it begins)"
    ):
        parse_period(text, today=date(200, 1, 1), where="--to")


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"--from '2026-09\.\.2026-08' ends before it begins"):
        parse_period("2026-09..2026-08", today=TODAY, where="--from")


def test_without_a_word_it_is_the_last_two_whole_months() -> None:
    before, after = choose_periods(None, None, today=TODAY)

    assert (before.name, after.name) == ("2026-08", "2026-09")


def test_a_period_to_come_from_needs_one_to_go_to() -> None:
    with pytest.raises(ConfigurationError, match="--from 2026-08 needs a --to"):
        choose_periods("2026-08", None, today=TODAY)


def test_nothing_is_before_the_first_of_all_years() -> None:
    with pytest.raises(ConfigurationError, match="name it with --from"):
        choose_periods(None, "0001-01", today=TODAY)
