"""The emulator as a process of its own, for `sync --sample`: real HTTP, no key, no network."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.settings.invocation import SAMPLE_KEY

_STOP_TIMEOUT_S = 5.0


def start_early(data_dir: Path) -> subprocess.Popen[bytes] | None:
    """A server for the first sync of the sample, which gets ready while its caller does; None: it is not the first."""
    is_first = not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir()))
    return _start(phase=0) if is_first else None


@contextmanager
def sample_server(started: subprocess.Popen[bytes] | None, *, phase: int) -> Iterator[dict[str, Any]]:
    """A running emulator on a free loopback port, if need be a new one; yields what it said when it was ready.

    It ends with the block, or by itself when this process dies: it holds on to our end of a pipe.
    """
    with started or _start(phase=phase) as process:
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the emulator has no pipes")
            ready = process.stdout.readline()
            if not ready:
                raise PipelineError(f"the sample server did not start (exit code {process.wait()}), see above")
            yield json.loads(ready)
        finally:
            _stop(process)


def _start(*, phase: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipeline", "emulate", "--moves", "--phase", str(phase), "--until-stdin-ends"]
    environ = {**os.environ, "EMULATOR_API_KEY": SAMPLE_KEY}
    # From where this package is: a folder pipeline/ of the user's own would be taken for it.
    here = Path(__file__).parents[3]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, cwd=here)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
