"""The age rule: the longer a thread has not changed, the less often it is asked for."""

import re
from dataclasses import dataclass
from datetime import timedelta

from pipeline.errors import ConfigurationError

# What `--since` takes instead of an age or a date.
DECAY = "decay"
DEFAULT_COLD_AFTER = "7d"
_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_AGE_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Decay:
    """When a thread without changes is due again.

    It is cold when it had not changed for `cold_after` at its last sync. It is due again once `share` of that age has
    passed since, or `longest` where that is less: with a tenth, a thread that has been still for 30 days after 3.
    """

    cold_after: timedelta
    share: float
    longest: timedelta


def is_age(text: str) -> bool:
    """Whether a text is meant as an age and not as a date."""
    return _AGE.fullmatch(text.strip()) is not None


def parse_age(text: str, *, where: str) -> timedelta:
    """The time that 12h, 30d or 4w names. Raises ConfigurationError for anything else."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"{where} {text!r} is not an age like 30d, 12h or 4w")
    try:
        return timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ConfigurationError(f"{where} {text!r} is before all time") from error


def make_decay(cold_after: str | None, share: float, longest: str, *, asked: bool) -> Decay | None:
    """The rule of settings; None where neither they nor the command line ask for it.

    Raises ConfigurationError for settings that make no rule.
    """
    if cold_after is None and not asked:
        return None
    if not 0 < share <= 1:
        raise ConfigurationError(f"cold_share {share} is no share: it takes more than 0 and at most 1, for example 0.1")
    return Decay(
        parse_age(cold_after or DEFAULT_COLD_AFTER, where="cold_after"),
        share,
        parse_age(longest, where="cold_longest"),
    )
