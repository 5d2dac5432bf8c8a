"""How tests run here: properties never by the clock, in CI with the same examples each time; servers they share."""

import atexit
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from pipeline.emulator import Corpus, RunningEmulator, running_emulator
from tests.forked import end_shared_python
from tests.ready_schema import begin_with_copies, remove_originals

settings.register_profile(
    "steady", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
begin_with_copies()


@pytest.fixture
def server(corpus: Corpus) -> Iterator[RunningEmulator]:
    """A server of a test's own with the account that its module names."""
    with running_emulator(corpus) as server:
        yield server


@pytest.fixture(scope="module")
def shared_server(corpus: Corpus) -> Iterator[RunningEmulator]:
    """One server for all tests of a module, with the account that this names."""
    with running_emulator(corpus) as server:
        yield server


def pytest_sessionfinish(exitstatus: int | pytest.ExitCode) -> None:
    """Leave without the interpreter's own end: duckdb 2.0.0 fills stderr there, after the summary."""
    atexit.register(_leave, int(exitstatus))


def _leave(code: int) -> None:
    end_shared_python()
    remove_originals()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
