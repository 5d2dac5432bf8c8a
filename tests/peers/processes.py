"""The real components as processes on free ports of 127.0.0.1, stopped by their own process."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PEERS = Path(__file__).parents[2] / ".peers"
# LiteLLM imports for about 15 s on a busy machine.
_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 10.0
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], *, port: int, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A server process that listens on the port; AssertionError with the end of its log if it never does."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=PEERS,
            env={**inherited, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_it_listens(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_TIMEOUT_S)


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}: {_tail(log)}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            # Nothing can be waited for: a foreign process says when it listens in its own words, or not at all.
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{process.args!r} did not listen within {_START_TIMEOUT_S:g} s: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
