"""What the time is, by all that tell it in a process: `python -m tests.dates.clocks` prints it as JSON."""

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from tests.syncs import ROOT, environ_for

STOPWATCH = "stopwatch"


def read_clocks() -> dict[str, float]:
    """Seconds of the calendar as each of them has it, and those of the stopwatch after a short sleep."""
    with duckdb.connect() as connection:
        [(duckdb_s,)] = connection.execute("select epoch(now())").fetchall()
    with tempfile.NamedTemporaryFile() as file:
        file_s = Path(file.name).stat().st_mtime
    time.sleep(0.001)
    return {
        "time.time": time.time(),
        "datetime": datetime.now(UTC).timestamp(),
        "duckdb": duckdb_s,
        "a new file": file_s,
        "date": float(subprocess.check_output(["date", "+%s"], env=environ_for())),
        STOPWATCH: time.monotonic(),
    }


def read_clocks_elsewhere() -> dict[str, float]:
    """The same in a process with the environment that tests give to those they start."""
    command = [sys.executable, "-m", "tests.dates.clocks"]
    clocks: dict[str, float] = json.loads(subprocess.check_output(command, cwd=ROOT, env=environ_for()))
    return clocks


if __name__ == "__main__":
    print(json.dumps(read_clocks()))
