"""How tests run here: properties never by the clock, in CI with the same examples each time, and a quiet end."""

import atexit
import os
import sys

import pytest
from hypothesis import HealthCheck, settings

from tests.forked import end_shared_python

settings.register_profile(
    "steady", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


def pytest_sessionfinish(exitstatus: int | pytest.ExitCode) -> None:
    """Leave without the interpreter's own end: duckdb 2.0.0 fills stderr there, after the summary."""
    atexit.register(_leave, int(exitstatus))


def _leave(code: int) -> None:
    end_shared_python()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
