"""A reader of our output that has gone (`| head`) is no failure of a verb."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.syncs import PATIENCE_S, environ_for
from tests.warehouses import make_one_run


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "--list"),
        ("query", "top_tools"),
        ("prices", "list"),
        ("docs", "servers"),
        ("status",),
        ("check",),
        ("report", "--help"),
        ("explain-change", "--from", "2026-05", "--to", "2026-06"),
    ],
    ids=" ".join,
)
def test_whoever_stops_reading_gets_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    make_one_run(tmp_path / "data" / "warehouse.duckdb")
    reading, writing = os.pipe()
    os.close(reading)

    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=tmp_path,
        env=environ_for(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    os.close(writing)

    assert (ended.returncode, "rror" in ended.stderr) == (0, False), ended.stderr
