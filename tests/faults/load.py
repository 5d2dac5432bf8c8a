"""A large account, synced twice: peak memory of all processes, requests per second over time, what is fetched again."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Measurement, measure
from tests.faults.load_account import ACCOUNT_FILE
from tests.measuring import measured
from tests.syncs import ROOT, environ_for

_TIMEOUT_S = 3600.0
_TENTHS = 10
_KEY = "emulator-key"
# What must hold: memory at its highest in any sync, and in the first one against that of the account a tenth as large;
# requests a second in the last tenth of the first sync, against the median tenth.
MOST_MB = 900
# Of which DuckDB's 256 MB are a part that only the larger account fills.
MOST_GROWTH = 1.75
LEAST_PACE = 0.5


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync: its measurement, the requests that it needed and made, and how many a second in each tenth of them."""

    measurement: Measurement
    needed: int
    requests: int
    tenths: list[float]


@dataclass(frozen=True, slots=True)
class Size:
    """An account and the two syncs of it."""

    threads: int
    runs: int
    steps: int
    changed_runs: int
    first: Sync
    second: Sync
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Load:
    """The account that was asked for, and one a tenth as large to see what memory depends on."""

    small: Size
    large: Size

    @property
    def problems(self) -> list[str]:
        """Totals, requests, memory or throughput that are not what they must be."""
        judged = [*_judge_memory(self.small, self.large), *_judge_pace(self.large.first.tenths)]
        return [*self.small.problems, *self.large.problems, *judged]


def _judge_memory(small: Size, large: Size) -> Iterator[str]:
    highest = max(sync.measurement.peak_mb for size in (small, large) for sync in (size.first, size.second))
    if highest > MOST_MB:
        yield f"{highest:,.0f} MB in one sync: more than {MOST_MB}"
    usual, peak = small.first.measurement.peak_mb, large.first.measurement.peak_mb
    if peak > MOST_GROWTH * usual:
        yield f"ten times the account takes {peak:,.0f} MB in place of {usual:,.0f} MB: more than {MOST_GROWTH} times"


def _judge_pace(tenths: Sequence[float]) -> Iterator[str]:
    middle = median(tenths)
    if tenths[-1] < LEAST_PACE * middle:
        yield f"{tenths[-1]:,.0f} requests a second at the end, in the median tenth {middle:,.0f}"


def measure_load(threads: int, steps: int) -> Load:
    """Both accounts, one after the other."""
    return Load(_measure(threads // 10, steps // 10), _measure(threads, steps))


def _measure(threads: int, steps: int) -> Size:
    with tempfile.TemporaryDirectory(prefix="load-") as name, _served(Path(name), threads, steps) as root:
        folder = Path(name)
        account = json.loads(folder.joinpath(ACCOUNT_FILE).read_text())
        problems: list[str] = []
        syncs = []
        for phase, needed in enumerate((account["first_requests"], account["second_requests"])):
            if phase:
                _ask(root, "advance", method="POST")
                _ask(root, "requests", method="DELETE")
            sync = _sync(folder, root, needed)
            print(f"{threads:,} threads: {sync.measurement}, {sync.requests:,} requests", file=sys.stderr)
            problems += _find_problems(folder, sync, account["truths"][phase])
            syncs.append(sync)
        first, second = syncs
        counts = (threads, account["runs"], account["truths"][1]["steps"], account["changed_runs"])
        if counts[2] < steps:
            problems.append(f"the account has {counts[2]:,} steps in place of {steps:,}")
        return Size(*counts, first, second, problems)


def _sync(folder: Path, root: str, needed: int) -> Sync:
    command = [sys.executable, "-m", "pipeline", "sync", "--threads", "threads.txt", "--quiet", "--data-dir", "data"]
    environ = environ_for(OPENAI_BASE_URL=f"{root}/v1", OPENAI_API_KEY=_KEY)
    measurement = measure(command, env=environ, cwd=folder, timeout_s=_TIMEOUT_S)
    instants = sorted(entry["at_s"] for entry in _ask(root, "requests")["requests"])
    return Sync(measurement, needed, len(instants), _rates(instants))


def _rates(instants: list[float]) -> list[float]:
    """Requests a second in each tenth of the requests."""
    bounds = [len(instants) * number // _TENTHS for number in range(_TENTHS + 1)]
    return [
        (high - low) / max(instants[min(high, len(instants) - 1)] - instants[low], 1e-6)
        for low, high in pairwise(bounds)
        if high > low
    ]


def _find_problems(folder: Path, sync: Sync, truth: dict[str, Any]) -> Iterator[str]:
    if sync.measurement.exit_code:
        yield f"exit code {sync.measurement.exit_code}: {sync.measurement.error}"
    if sync.requests != sync.needed:
        yield f"{sync.requests:,} requests in place of {sync.needed:,}"
    found = json.loads(json.dumps(asdict(measured(folder / "data", truth["phase"]))))
    yield from (f"{name}: {found[name]} in place of {truth[name]}" for name in truth if found[name] != truth[name])


@contextmanager
def _served(folder: Path, threads: int, steps: int) -> Iterator[str]:
    """The account on a server of its own, so that its memory and its turns of the interpreter are not the sync's."""
    command = [sys.executable, "-m", "tests.faults.load_account", str(folder)]
    with subprocess.Popen(
        [*command, "--threads", str(threads), "--steps", str(steps)],
        cwd=ROOT,
        env=environ_for(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            if not line:
                raise SystemExit("the server of the account did not start")
            yield f"http://127.0.0.1:{json.loads(line)['port']}"
        finally:
            server.communicate("")


def _ask(root: str, what: str, *, method: str = "GET") -> dict[str, Any]:
    request = urllib.request.Request(f"{root}/_emulator/{what}", method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        value: dict[str, Any] = json.load(answer)
        return value
