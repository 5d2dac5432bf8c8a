"""Run the tests on days to come: `python -m tests.dates [--days N]... [ARGUMENTS OF PYTEST]`."""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from pipeline.console.tables import count_of
from tests.dates.clocks import STOPWATCH, read_clocks, read_clocks_elsewhere
from tests.syncs import ROOT

_DAYS = (1, 30, 365)
_DAY_S = 86_400
# A slow machine may take so long between two looks at a clock.
_MARGIN_S = 600
_SOURCE = Path(__file__).with_name("shifted_clock.c")


def main() -> int:
    """The tests, with the calendar of all their processes moved on by each number of days; 1 unless all pass."""
    parser = argparse.ArgumentParser(prog="python -m tests.dates", description=main.__doc__, allow_abbrev=False)
    parser.add_argument(
        "--days", type=int, action="append", help=f"how far on, each in a run of its own (else {_DAYS})"
    )
    asked, arguments = parser.parse_known_args()
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or not sys.platform.startswith("linux"):
        parser.error("the clock can be moved on Linux with a C compiler (apt-get install gcc libc6-dev, or set CC)")
    red = []
    with tempfile.TemporaryDirectory(prefix="dates-") as folder:
        for days in asked.days or _DAYS:
            clock = compile_clock(compiler, Path(folder), days)
            check_clock(clock, days)
            if _run_tests(clock, days, arguments or ["-n", "3"]):
                red.append(days)
    if red:
        print(f"tests fail in {' and in '.join(count_of(days, 'days') for days in red)}: see above", flush=True)
    return 1 if red else 0


def compile_clock(compiler: str, folder: Path, days: int) -> Path:
    """A library that moves the calendar of the process that preloads it."""
    library = folder / f"clock_{days}_days_on.so"
    options = ["-shared", "-fPIC", "-O1", "-Wall", f"-DSHIFT_S={days * _DAY_S}L"]
    subprocess.run([compiler, *options, "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    return library


def check_clock(library: Path, days: int) -> None:
    """Raises SystemExit unless the calendar is moved in processes that tests start, and the stopwatch is not."""
    here = read_clocks()
    with patch.dict(os.environ, {"LD_PRELOAD": str(library)}):
        moved = read_clocks_elsewhere()
    for name, seconds in moved.items():
        by_s = 0 if name == STOPWATCH else days * _DAY_S
        if abs(seconds - here[name] - by_s) > _MARGIN_S:
            raise SystemExit(f"the clock is not moved: {name} is {seconds - here[name]:,.0f} s on, not {by_s:,} s")


def _run_tests(library: Path, days: int, arguments: list[str]) -> int:
    """The exit code of pytest."""
    command = [sys.executable, "-m", "pytest", *arguments]
    day = datetime.now(UTC).date() + timedelta(days=days)
    print(f"{shlex.join(command[1:])} as if it were {day}, in {count_of(days, 'days')}", flush=True)
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "LD_PRELOAD": str(library)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
