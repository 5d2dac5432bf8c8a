"""What cells of the machine do: syncs whose disk, folder, files or processes fail, and the syncs after that."""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline.emulator import RunningEmulator
from tests.faults.cell import Ended, Lists
from tests.faults.mounting import IN_OWN_SPACE
from tests.faults.running import run_verb, sync, write_profile
from tests.syncs import environ_for, hold_back, raw_files, read_all, started_cli, wait_until

# Nothing else may end a sync that others hold back.
_PATIENT = {"attempts": 1000}
_DESCRIPTORS = 64
_OF_PART = "select distinct thread_id from walks where part = ?"


def check_first(ended: Ended, exit_code: int, *says: str) -> None:
    """Raises AssertionError unless a run that is not the last one ended with this code and said all of that."""
    is_right = ended.exit_code == exit_code and all(text in ended.output for text in says)
    if not is_right or "Traceback" in ended.output:
        raise AssertionError(f"the first run: exit code {ended.exit_code}, {ended.output[-600:]!r}")


# --- raw parts ------------------------------------------------------------------------------------------------------


def _damage_largest(data_dir: Path, damage: Callable[[bytes], bytes]) -> Path:
    largest = max(raw_files(data_dir), key=lambda path: path.stat().st_size)
    sound = largest.read_bytes()
    largest.write_bytes(damage(sound))
    assert largest.read_bytes() != sound, "the part is as it was"
    return largest


@dataclass(frozen=True, slots=True)
class DamagedPart:
    """The largest part is damaged before it is loaded: the next sync names it, sets it aside and fetches it anew."""

    damage: Callable[[bytes], bytes]

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync that met the damaged part ended."""
        check_first(sync(server, folder), 0)
        largest = _damage_largest(folder / "data", self.damage)
        (folder / "data" / "warehouse.duckdb").unlink()
        server.clear_requests()
        ended = sync(server, folder)
        check_first(ended, 0, f"{largest.name}.damaged")
        assert largest.with_name(f"{largest.name}.damaged").exists(), "the damaged part is not kept"
        assert not largest.exists(), "the damaged part is still a part"
        assert any(entry["route"] == "list_steps" for entry in server.requests()), "nothing is fetched again"
        return ended


@dataclass(frozen=True, slots=True)
class RebuiltWithoutPart:
    """The largest part is damaged once it is loaded; then each command that the messages ask for.

    What is judged in the end is a warehouse that was made of the raw parts alone, without that one.
    """

    damage: Callable[[bytes], bytes]

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the rebuild without the damaged part ended."""
        check_first(sync(server, folder), 0)
        data_dir = folder / "data"
        largest = _damage_largest(data_dir, self.damage)
        check_first(run_verb(folder, "load", "--rebuild"), 4, largest.name, "move it away", "sync --full")
        threads = [thread for (thread,) in read_all(data_dir, _OF_PART, [largest.stem])]
        assert threads, "the part held no walk"
        largest.rename(folder / "moved-away")
        check_first(sync(server, folder, threads=threads, more=["--full"]), 0)
        check_first(run_verb(folder, "load", "--rebuild"), 2, largest.stem, "--forget-pruned")
        ended = run_verb(folder, "load", "--rebuild", "--forget-pruned")
        check_first(ended, 0, "rebuilt from")
        assert read_all(data_dir, _OF_PART, [largest.stem]) == [], "the warehouse is not made of the parts alone"
        return ended


# --- the warehouse and other processes ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OtherVersion:
    """The warehouse says it is of another schema version; `load --rebuild` is what the message asks for."""

    version: int

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync after the rebuild ended."""
        check_first(sync(server, folder), 0)
        with duckdb.connect(str(folder / "data" / "warehouse.duckdb")) as connection:
            connection.execute("update schema_version set version = ?", [self.version])
        check_first(sync(server, folder), 2, "load --rebuild")
        check_first(run_verb(folder, "load", "--rebuild"), 0, "rebuilt from")
        return sync(server, folder)


def two_at_once(lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
    """Two syncs of all threads into one folder, from either end; no steps come until both have begun."""
    # One request at a time: who waits for steps asks for nothing else, however fast the machine is.
    write_profile(folder, {**_PATIENT, "concurrency": 1})
    server.set_faults(
        [{"route": "list_steps", "fault": "status", "status": 503, "headers": {"retry-after-ms": "1000"}}]
    )
    threads, environ = server.corpus.thread_ids(), environ_for(server, COLUMNS="1000")

    def is_asked(route: str) -> bool:
        return any(entry["route"] == route for entry in server.requests())

    with started_cli(folder, "sync", *threads, environ=environ) as one:
        wait_until(lambda: is_asked("list_steps"), what="the first that waits", of=one)
        server.clear_requests()
        with started_cli(folder, "sync", *reversed(threads), environ=environ) as two:
            wait_until(lambda: is_asked("list_runs"), what="the second one's listing", of=two)
            server.clear_faults()
            outputs = ["".join(process.communicate()) for process in (one, two)]
    return Ended(judge_both(one.returncode, two.returncode), "".join(outputs), folder / "data")


def judge_both(one: int, two: int) -> int:
    """0 if two processes ended as they may: both well, or one that waited too long for the other's lock (6).

    Raises AssertionError for any other pair of exit codes.
    """
    assert sorted((one, two)) in ([0, 0], [0, 6]), f"exit codes {one} and {two}"
    return 0


def few_descriptors(lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
    """One sync that may have few files open, with connections for half of them at a time. How it ended."""
    write_profile(folder, {"concurrency": _DESCRIPTORS // 2})
    server.set_faults([{"fault": "latency_ms", "latency_ms": 20}])
    ended = _in_shell(f'ulimit -n {_DESCRIPTORS} && test "$(ulimit -n)" = {_DESCRIPTORS}', server, folder)
    peak = server.peak_in_flight()
    assert peak > _DESCRIPTORS // 4, f"there were never more than {peak} requests at a time"
    return ended


@dataclass(frozen=True, slots=True)
class LimitedFiles:
    """A sync whose files may have so many blocks of 512 bytes, then one without a limit."""

    blocks: int
    says: str

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync without a limit ended."""
        write_profile(folder, {})
        check_first(_in_shell(f"ulimit -f {self.blocks}", server, folder), 2, self.says)
        return sync(server, folder)


def _in_shell(before: str, server: RunningEmulator, folder: Path, *, after: str = "true") -> Ended:
    """A sync in a shell that does something before and after it, in a mount namespace of its own if that mounts."""
    space = IN_OWN_SPACE if "mount" in before else ()
    program = f'{before} && {{ "$@"; code=$?; {after}; exit $code; }}'
    command = [*space, "sh", "-c", program, "sh", sys.executable, "-m", "pipeline", "sync", *server.corpus.thread_ids()]
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environ_for(server, COLUMNS="1000"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout + ended.stderr, folder / "data")


@dataclass(frozen=True, slots=True)
class OnMount:
    """A sync into a small or read-only file system; what it left is taken over to a larger one, for the next sync."""

    options: str
    says: str

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync with room ended."""
        write_profile(folder, {})
        (folder / "data").mkdir()
        (folder / "left").mkdir()
        mount = f"mount -t tmpfs -o {self.options} tmpfs data"
        check_first(_in_shell(mount, server, folder, after="cp -a data/. left/"), 2, self.says)
        (folder / "data").rmdir()
        (folder / "left").rename(folder / "data")
        return sync(server, folder)


# --- signals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stopped:
    """A sync that hears a signal after so many requests, then the same command again."""

    number: signal.Signals
    requests: int
    more: Sequence[str] = ()

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the second sync ended."""
        hold_back(server, after_requests=self.requests, route="*")
        write_profile(folder, _PATIENT)
        arguments = ["sync", *server.corpus.thread_ids(), *self.more]
        with started_cli(folder, *arguments, environ=environ_for(server)) as process:
            wait_until(lambda: len(server.requests()) > self.requests, what="the request", of=process)
            process.send_signal(self.number)
            _, stderr = process.communicate()
        wanted = -signal.SIGKILL if self.number == signal.SIGKILL else 130
        check_first(Ended(process.returncode, stderr, folder), wanted)
        server.clear_faults()
        return sync(server, folder, more=self.more)


@dataclass(frozen=True, slots=True)
class StoppedLoad:
    """A load that hears a signal once it has begun to make the warehouse, then the same command again."""

    number: signal.Signals
    exit_code: int

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the second load ended."""
        check_first(sync(server, folder), 0)
        (folder / "data" / "warehouse.duckdb").unlink()
        with started_cli(folder, "load", environ=environ_for()) as process:
            wait_until((folder / "data" / "warehouse.duckdb.new").exists, what="the new warehouse", of=process)
            process.send_signal(self.number)
            _, stderr = process.communicate()
        check_first(Ended(process.returncode, stderr, folder), self.exit_code)
        return run_verb(folder, "load")
