"""Which answers heal with time and how long to wait for them; pure."""

import email.utils
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from pipeline.console.plain_text import plain_line
from pipeline.protocol.words import known_code

RETRIED_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
# 429 that no waiting heals: somebody must pay, raise a limit or ask for it.
QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
REFUSED_STATUSES = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are, in seconds; tries include the first, `bad_body_attempts` is for 200s that are no list."""

    attempts: int = 6
    bad_body_attempts: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0
    longest_retry_after_s: float = 120.0
    # Before anything ever answered: then it is the address that is wrong.
    unreached_attempts: int = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is none: what it was, whether trying again may help, and the wait that the server asked for.

    `unreached`: the request did not even come to a server.
    """

    reason: str
    retry: bool
    status: int | None = None
    wait_s: float | None = None
    refused: bool = False
    bad_body: bool = False
    unreached: bool = False


def judge_status(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime, quote: bool = True) -> Fault:
    """What a status other than 200 means; unless we may `quote`, of its words only a published code is told."""
    kind, code, message = read_error(body)
    quota = status == 429 and (kind in QUOTA_CODES or code in QUOTA_CODES)
    retry = status in RETRIED_STATUSES and not quota and not _will_never_be(message)
    if (said := headers.get("x-should-retry")) in ("true", "false"):
        retry = said == "true"
    words = (code or kind, message) if quote else (known_code(code) or known_code(kind),)
    label = ", ".join(word for word in words if word)
    return Fault(
        reason=f"HTTP {status}" + (f" ({label})" if label else ""),
        retry=retry,
        status=status,
        wait_s=read_retry_after(headers, now=now),
        refused=not retry and (status in REFUSED_STATUSES or quota),
    )


def _will_never_be(message: str | None) -> bool:
    """Whether a gateway says that what is behind it cannot do that at all: LiteLLM does, with 500 (seen with 1.108)."""
    return message is not None and "is not supported" in message


def judge_redirect(status: int, location: str | None) -> Fault:
    """What a redirect means; the host that it leads to is named unless the location may not be told (None)."""
    to = "another place"
    if location is not None:
        try:
            to = urlsplit(location).hostname or "another path"
        except ValueError:
            to = "another path"
    reason = (
        f"HTTP {status}: the server redirects to {to}; redirects are not followed, the key would go"
        " along. Set the base URL to where the API really is"
    )
    return Fault(reason, retry=False, status=status)


def judge_size(size_bytes: int, limit_bytes: int) -> Fault:
    """What it means that an answer has no room beside others."""
    reason = (
        f"large answers under way take more than {limit_bytes >> 20} MiB together, this one"
        f" {size_bytes >> 20} MiB so far: ask with a lower --concurrency"
    )
    return Fault(reason, retry=True)


def gives_up(fault: Fault, policy: RetryPolicy, *, tries: int, is_known: bool) -> bool:
    """Whether a fault that may heal has had its tries; `is_known`: something has answered there before."""
    most = policy.bad_body_attempts if fault.bad_body else policy.attempts
    if fault.unreached and not is_known:
        most = min(most, policy.unreached_attempts)
    return tries >= most or (fault.wait_s or 0.0) > policy.longest_retry_after_s


def read_retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, else `retry-after` (number or HTTP date); None if unusable."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    moment = _http_date(value)
    if moment is None:
        return None
    # By the server's own clock where it tells what that says: ours may be hours off.
    return max(0.0, (moment - (_http_date(headers.get("date")) or now)).total_seconds())


def backoff_s(failures: int, policy: RetryPolicy, *, chance: float) -> float:
    """The wait after that many failures: doubled each time up to a limit, with up to a quarter taken off."""
    return min(policy.first_wait_s * 2.0 ** (failures - 1), policy.longest_wait_s) * (1 - 0.25 * chance)


def read_error(body: bytes) -> tuple[str | None, str | None, str | None]:
    """Type, code and message of an error body, in the shapes of OpenAI, Portkey and LiteLLM; Nones for any other."""
    try:
        answer = msgspec.json.decode(body)
    # Text that is not UTF-8 is a ValueError as well, but no DecodeError.
    except (ValueError, RecursionError):
        return None, None, None
    if not isinstance(answer, dict):
        return None, None, None
    error = answer.get("error")
    if isinstance(error, dict):
        return _text(error.get("type")), _text(error.get("code")), _text(error.get("message"))
    return None, None, _text(error) or _text(answer.get("message")) or _text(answer.get("detail"))


def _http_date(value: str | None) -> datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: object) -> str | None:
    return plain_line(value) if isinstance(value, str) and value.strip() else None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
