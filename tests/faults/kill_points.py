"""Moments at which a command is killed: a request at the server, a file that appears, a share of its usual time."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.emulator import RunningEmulator

# Between two looks; what is waited for may be there for a few milliseconds only.
_LOOK_EVERY_S = 0.001
_PATIENCE_S = 300.0
_ORPHAN_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What can be seen of a command while it runs: its data folder, the server's log, and how long it usually takes."""

    data_dir: Path
    server: RunningEmulator
    usual_s: float
    usual_requests: int


# True once the moment has come; made anew for each command that starts.
Moment = Callable[[], bool]
KillPoint = Callable[[random.Random, Scene], Moment]


def at_request(route: str, *, of: int) -> KillPoint:
    """The Nth request of a kind has come in, N of at most so many."""

    def choose(rng: random.Random, scene: Scene) -> Moment:
        wanted = rng.randint(1, of)
        entries = scene.server.emulation.log.entries
        # Of a copy: the server's thread goes on writing.
        return lambda: sum(entry.route == route for entry in list(entries)) >= wanted

    return choose


def after_all_requests(*, share: float) -> KillPoint:
    """All requests have come in, and up to a share of the usual time has passed since."""

    def choose(rng: random.Random, scene: Scene) -> Moment:
        pause_s = rng.uniform(0.0, share) * scene.usual_s
        seen_at: list[float] = []

        def has_come() -> bool:
            if not seen_at and scene.server.emulation.log.total >= scene.usual_requests:
                seen_at.append(time.monotonic())
            return bool(seen_at) and time.monotonic() - seen_at[0] >= pause_s

        return has_come

    return choose


def at_file(pattern: str, *, of: int = 1, share: float = 0.0) -> KillPoint:
    """The Nth new file of a pattern below the data folder is there, and up to a share of the usual time has passed."""

    def choose(rng: random.Random, scene: Scene) -> Moment:
        before = set(scene.data_dir.glob(pattern))
        wanted, pause_s = rng.randint(1, of), rng.uniform(0.0, share) * scene.usual_s
        seen: set[Path] = set()
        seen_at: list[float] = []

        def has_come() -> bool:
            seen.update(set(scene.data_dir.glob(pattern)) - before)
            if not seen_at and len(seen) >= wanted:
                seen_at.append(time.monotonic())
            return bool(seen_at) and time.monotonic() - seen_at[0] >= pause_s

        return has_come

    return choose


def at_removal(pattern: str, *, of: int) -> KillPoint:
    """The Nth file of a pattern below the data folder that was there at the start is gone, N of at most so many."""

    def choose(rng: random.Random, scene: Scene) -> Moment:
        before = len(set(scene.data_dir.glob(pattern)))
        wanted = rng.randint(1, of)
        return lambda: before - sum(1 for _ in scene.data_dir.glob(pattern)) >= wanted

    return choose


def once_gone(pattern: str, *, of: int = 1) -> KillPoint:
    """A file of a pattern was there and is gone, for the Nth time."""

    def choose(rng: random.Random, scene: Scene) -> Moment:
        wanted = rng.randint(1, of)
        states = [False]

        def has_come() -> bool:
            there = any(scene.data_dir.glob(pattern))
            if there != states[-1]:
                states.append(there)
            return states.count(False) > wanted

        return has_come

    return choose


def one_of(*points: KillPoint) -> KillPoint:
    """One of some moments."""
    return lambda rng, scene: rng.choice(points)(rng, scene)


def after_share(low: float, high: float) -> KillPoint:
    """A share of the usual time has passed."""

    def choose(rng: random.Random, scene: Scene) -> Moment:
        due_at = time.monotonic() + rng.uniform(low, high) * scene.usual_s
        return lambda: time.monotonic() >= due_at

    return choose


@contextmanager
def started_group(folder: Path, *arguments: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m pipeline ARGUMENTS` in a session of its own; whatever is left of that at the end is killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            for pid in list_session(process.pid):
                os.kill(pid, signal.SIGKILL)


def kill_at(moment: Moment, process: subprocess.Popen[bytes], *, whole_group: bool) -> bool:
    """SIGKILL at the moment, for the process alone or its whole group; False if it had ended before."""
    deadline = time.monotonic() + _PATIENCE_S
    pause = threading.Event()
    while not moment():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "the moment to kill did not come"
        pause.wait(_LOOK_EVERY_S)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def find_orphans(session: int) -> list[int]:
    """Processes of the session that do not end by themselves within a minute."""
    deadline = time.monotonic() + _ORPHAN_PATIENCE_S
    pause = threading.Event()
    while (left := list_session(session)) and time.monotonic() < deadline:
        pause.wait(0.02)
    return left


def list_session(session: int) -> list[int]:
    """Living processes of a session."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of the program, in brackets, may hold anything.
            state, _parent, _group, found, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if state != "Z" and int(found) == session:
            pids.append(int(path.parent.name))
    return pids
