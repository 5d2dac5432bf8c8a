"""Periods as people write them: a year, a month, a week, a day, the last days, or from one day to another; pure."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.errors import ConfigurationError

_YEAR = re.compile(r"(\d{4})")
_MONTH = re.compile(r"(\d{4})-(\d\d)")
_WEEK = re.compile(r"(\d{4})-W(\d\d)")
_LAST_DAYS = re.compile(r"(\d{1,5})d")
_AGE = re.compile(r"(\d{1,7})([dw])")
_FORMS = "2026, 2026-09, 2026-W40, 2026-09-30, 2026-09-01..2026-09-30, or 30d for the 30 days before today"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole UTC days, both ends in it; `name` is what a person calls it."""

    name: str
    first_on: date
    last_on: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last_on - self.first_on).days + 1

    def before(self) -> "Period":
        """The one that ends where this begins: the month, year or week before; of other days as many."""
        try:
            last_on = self.first_on - _DAY
            if _MONTH.fullmatch(self.name):
                return _month(last_on)
            if _YEAR.fullmatch(self.name):
                return _year(last_on.year)
            return _days(last_on - (self.last_on - self.first_on), last_on, is_week=bool(_WEEK.fullmatch(self.name)))
        except OverflowError:
            raise ConfigurationError(f"{self.name}: there is no period before it, name it with --from") from None


def parse_period(text: str, *, today: date, where: str) -> Period:
    """The period that a person wrote. Raises ConfigurationError naming where it stands."""
    first, dots, last = text.strip().partition("..")
    try:
        period = _parse_one(first.strip(), today)
        if dots:
            period = _days(period.first_on, _parse_one(last.strip(), today).last_on)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{where} {text!r} is no period: write {_FORMS}") from None
    if period.last_on < period.first_on:
        raise ConfigurationError(f"{where} {text!r} ends before it begins")
    return period


def choose_periods(from_text: str | None, to_text: str | None, *, today: date) -> tuple[Period, Period]:
    """The period to come from and the one to go to: by default the last whole month, and always the one before it."""
    if to_text is None:
        if from_text is not None:
            raise ConfigurationError(f"--from {from_text} needs a --to: the period to compare it with")
        after = _month(today.replace(day=1) - _DAY)
    else:
        after = parse_period(to_text, today=today, where="--to")
    return after.before() if from_text is None else parse_period(from_text, today=today, where="--from"), after


def parse_days(since: str | None, until: str | None, *, today: date) -> Period | None:
    """The days from one bound to the other, both included; None if neither is given.

    A bound is what `parse_period` reads, of which `until` takes the end, or an age: 30d is the day 30 days ago.
    """
    if since is None and until is None:
        return None
    first_on = date.min if since is None else _parse_bound(since, today, "--since").first_on
    last_on = date.max if until is None else _parse_bound(until, today, "--until").last_on
    if last_on < first_on:
        raise ConfigurationError(f"--until {until!r} is before --since {since!r}")
    return _days(first_on, last_on)


def _parse_bound(text: str, today: date, where: str) -> Period:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return parse_period(text, today=today, where=where)
    try:
        day = today - int(match[1]) * (7 if match[2] == "w" else 1) * _DAY
    except OverflowError:
        raise ConfigurationError(f"{where} {text!r} is before all time") from None
    return _days(day, day)


def _parse_one(text: str, today: date) -> Period:
    if match := _YEAR.fullmatch(text):
        return _year(int(match[1]))
    if match := _MONTH.fullmatch(text):
        return _month(date(int(match[1]), int(match[2]), 1))
    if match := _WEEK.fullmatch(text):
        monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
        return _days(monday, monday + 6 * _DAY, is_week=True)
    if match := _LAST_DAYS.fullmatch(text):
        return _days(today - int(match[1]) * _DAY, today - _DAY)
    day = date.fromisoformat(text)
    return _days(day, day)


def _year(year: int) -> Period:
    return Period(f"{year:04}", date(year, 1, 1), date(year, 12, 31))


def _month(day: date) -> Period:
    first_on = day.replace(day=1)
    # The last month of all years has no day after it.
    last_on = date(day.year, 12, 31) if day.month == 12 else day.replace(month=day.month + 1, day=1) - _DAY
    return Period(f"{day.year:04}-{day.month:02}", first_on, last_on)


def _days(first_on: date, last_on: date, *, is_week: bool = False) -> Period:
    if is_week:
        year, week, _ = first_on.isocalendar()
        return Period(f"{year:04}-W{week:02}", first_on, last_on)
    name = f"{first_on}" if first_on == last_on else f"{first_on}..{last_on}"
    return Period(name, first_on, last_on)
