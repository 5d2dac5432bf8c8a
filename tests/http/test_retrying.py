"""The rules of retrying as pure functions: waits for any header, backoff within its bounds, errors of any shape."""

import math
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.http.retrying import RetryPolicy, backoff_s, judge_status, read_error, read_retry_after

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
QUOTA_BODY = b'{"error": {"message": "Pay.", "type": "insufficient_quota", "param": null, "code": null}}'


def test_a_date_that_has_passed_means_now() -> None:
    assert read_retry_after({"retry-after": "Fri, 20 Nov 2026 11:59:00 GMT"}, now=NOW) == 0.0


def test_a_date_without_a_zone_is_utc() -> None:
    assert read_retry_after({"retry-after": "Fri, 20 Nov 2026 12:01:00 -0000"}, now=NOW) == 60.0


def test_a_date_is_seen_by_the_clock_of_the_server_that_sent_it() -> None:
    headers = {"retry-after": "Sat, 21 Nov 2026 12:00:05 GMT", "date": "Sat, 21 Nov 2026 12:00:00 GMT"}

    assert read_retry_after(headers, now=NOW) == 5.0


def test_no_header_is_no_wish() -> None:
    assert read_retry_after({}, now=NOW) is None


def test_a_useless_retry_after_ms_gives_way_to_retry_after() -> None:
    assert read_retry_after({"retry-after-ms": "-1", "retry-after": "8"}, now=NOW) == 8.0


@given(milliseconds=st.text(max_size=30), seconds=st.text(max_size=60))
@example(milliseconds="1e400", seconds="1e400")
@example(milliseconds="x", seconds="Mon, 01 Jan 99999999999999999999 00:00:00 GMT")
@example(milliseconds="x", seconds="Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_header_is_a_wait_of_some_seconds_or_none(milliseconds: str, seconds: str) -> None:
    wait_s = read_retry_after({"retry-after-ms": milliseconds, "retry-after": seconds}, now=NOW)
    assert wait_s is None or (wait_s >= 0 and math.isfinite(wait_s))


@given(failures=st.integers(1, 1000), chance=st.floats(0, 1))
def test_backoff_stays_between_three_quarters_and_the_whole_of_its_step(failures: int, chance: float) -> None:
    step_s = min(0.5 * 2.0 ** (failures - 1), 8.0)
    assert 0.75 * step_s <= backoff_s(failures, RetryPolicy(), chance=chance) <= step_s


@given(body=st.binary(max_size=60))
@example(body=b'{"error": "\xff"}')
@example(body=b'{"error": {"message": "\\ud800"}}')
@example(body=b"[" * 100_000)
def test_any_error_body_can_be_read(body: bytes) -> None:
    assert len(read_error(body)) == 3


def test_white_space_in_a_message_becomes_one_line() -> None:
    assert read_error(b'{"message": " two\\n  lines "}') == (None, None, "two lines")


def test_x_should_retry_makes_a_quota_worth_asking_again() -> None:
    fault = judge_status(429, {"x-should-retry": "true"}, QUOTA_BODY, now=NOW)
    assert (fault.retry, fault.refused) == (True, False)


def test_a_rate_limit_that_must_not_be_asked_again_is_no_refusal_of_the_key() -> None:
    fault = judge_status(429, {"x-should-retry": "false"}, b"", now=NOW)
    assert (fault.retry, fault.refused) == (False, False)


def test_a_quota_code_with_another_status_is_judged_by_its_status() -> None:
    assert judge_status(500, {}, QUOTA_BODY, now=NOW).retry
