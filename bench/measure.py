"""Wall time, processor time and peak memory of a child process with its descendants (Linux)."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.cases.contract import DONE, START

SAMPLE_EVERY_S = 0.05
KIB_PER_MB = 1_000_000 / 1024


@dataclass(frozen=True)
class Measurement:
    """One execution. The clock runs from the line `start` (else the beginning) to `done` (else the exit).

    `peak_mb` is the highest sum of resident memory over the process tree (shared pages count in each process),
    and no less than the kernel's own high-water mark of any one process. `cpu_s` covers everything to the exit.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    exit_code: int
    last_line: str
    error: str


class MemorySampler:
    """Follows the resident memory of a process tree until stopped."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak_kib = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self) -> None:
        while not self.stopped.is_set():
            self.sample()
            self.stopped.wait(SAMPLE_EVERY_S)

    def sample(self) -> None:
        sizes = [read_memory_kib(pid) for pid in list_tree(self.pid)]
        together = sum(now for now, _ in sizes)
        self.peak_kib = max([self.peak_kib, together, *(high for _, high in sizes)])

    def stop(self) -> None:
        """Take a last sample and end."""
        if not self.stopped.is_set():
            self.stopped.set()
            self.thread.join()
            self.sample()


def list_tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    pids = [pid]
    for parent in pids:  # grows while it is walked
        for task in _list_tasks(parent):
            try:
                pids += map(int, (task / "children").read_text().split())
            except OSError:  # the thread has just ended
                continue
    return pids


def _list_tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # the process has just ended
        return []


def read_memory_kib(pid: int) -> tuple[int, int]:
    """Resident memory now and at its highest; zeros for a process that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    values = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
    return int(values.get("VmRSS", 0)), int(values.get("VmHWM", 0))


def measure(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Measurement:
    """Run the command to its end, or kill it with its children after the timeout."""
    with tempfile.TemporaryFile("w+") as errors:
        clock = {START: time.monotonic()}
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        sampler = MemorySampler(process.pid)
        killer = threading.Timer(timeout_s, os.killpg, (process.pid, signal.SIGKILL))
        killer.start()
        try:
            last_line = read_output(process, sampler, clock)
        except BaseException:  # interrupted: leave no child behind
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            killer.cancel()
            sampler.stop()
        return Measurement(
            wall_s=clock.get(DONE, time.monotonic()) - clock[START],
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_mb=sampler.peak_kib / KIB_PER_MB,
            exit_code=process.returncode,
            last_line=last_line,
            error=read_last_line(errors),
        )


def read_output(process: "subprocess.Popen[str]", sampler: MemorySampler, clock: dict[str, float]) -> str:
    """The last line; on the way the clock learns when `start` and `done` came."""
    last_line = ""
    assert process.stdout
    for line in process.stdout:
        now = time.monotonic()
        last_line = line.strip()
        if last_line in (START, DONE):
            clock[last_line] = now
        if last_line == DONE:
            sampler.stop()
    process.stdout.close()
    return last_line


def read_last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    return lines[-1] if lines else ""
