"""Faults of the machine: damaged parts, no room, no right to write, other versions, other processes, signals."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline.emulator import RunningEmulator
from tests.faults.cell import Cell, Ended, Lists, Outcome
from tests.faults.clock_cells import clock_cells
from tests.faults.running import sync, write_profile
from tests.syncs import environ_for, raw_files, started_cli, wait_until

_HELD: Mapping[str, object] = {"fault": "status", "status": 503, "headers": {"retry-after-ms": "20"}}


def machine_cells(lists: Lists) -> Iterator[Cell]:
    """Every fault of the group; what the first runs must say is checked on the way."""
    for name, damage in _DAMAGES.items():
        said = Outcome(says=".parquet.damaged")
        yield Cell("Machine", f"raw part {name}", "before the load", said, act=_DamagedPart(damage, rebuilt=False))
        yield Cell("Machine", f"raw part {name}", "before a rebuild", Outcome(), act=_DamagedPart(damage, rebuilt=True))
    for version in (1, 99):
        yield Cell("Machine", f"warehouse of schema version {version}", "sync", Outcome(), act=_OtherVersion(version))
    yield Cell("Machine", "two syncs at once", "sync", Outcome(), act=_two_at_once)
    yield Cell("Machine", "64 file descriptors", "sync", Outcome(), act=_few_descriptors)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        name = f"{number.name}, then the same command again"
        for stage, requests in (("listing", 3), ("steps", 60)):
            yield Cell("Machine", name, stage, Outcome(), act=_Stopped(number, requests))
        yield Cell("Machine", name, "steps, --workers 2", Outcome(), act=_Stopped(number, 60, ["--workers", "2"]))
        # A polite kill ends a load as an impolite one does: its transaction is safe to leave.
        code = 130 if number == signal.SIGINT else -number
        yield Cell("Machine", name, "load", Outcome(), act=_StoppedLoad(number, code))
    for stage, blocks, says in (("landing", 60, "cannot write raw data"), ("load", 1000, "cannot write the warehouse")):
        limited = _LimitedFiles(blocks, says)
        yield Cell("Machine", "files may not grow (ulimit -f), then they may", stage, Outcome(), act=limited)
    yield from clock_cells()
    if can_mount():
        full = _OnMount("size=300k", exit_code=2, says="No space left on device")
        yield Cell("Machine", "disk full, then room again", "landing", Outcome(), act=full)
        full = _OnMount("size=2500k", exit_code=2, says="cannot write")
        yield Cell("Machine", "disk full, then room again", "load", Outcome(), act=full)
        locked = _OnMount("size=9m,ro", exit_code=2, says="Read-only file system")
        yield Cell("Machine", "read-only folder, then writable", "sync", Outcome(), act=locked)


def can_mount() -> bool:
    """Whether this machine lets us make a small file system that only one process sees."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def _check(ended: Ended, exit_code: int, says: str) -> None:
    if ended.exit_code != exit_code or says not in ended.output or "Traceback" in ended.output:
        raise AssertionError(f"the first run: exit code {ended.exit_code}, {ended.output[-600:]!r}")


# --- raw parts ------------------------------------------------------------------------------------------------------


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip(content: bytes) -> bytes:
    flipped = bytearray(content)
    flipped[len(content) // 3] ^= 1
    return bytes(flipped)


_DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "cut short": _cut,
    "with one flipped bit": _flip,
    "emptied": lambda _: b"",
    "with a torn end": lambda content: content[:-40] + bytes(40),
}


@dataclass(frozen=True, slots=True)
class _DamagedPart:
    """The largest part is damaged before it is loaded, or after it was loaded and the warehouse is made anew."""

    damage: Callable[[bytes], bytes]
    rebuilt: bool

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        sync(server, folder)
        largest = max(raw_files(folder / "data"), key=lambda path: path.stat().st_size)
        largest.write_bytes(self.damage(largest.read_bytes()))
        if not self.rebuilt:
            (folder / "data" / "warehouse.duckdb").unlink()
            return sync(server, folder)
        # A rebuild leaves the warehouse that still has everything.
        _check(sync(server, folder, verb="load", more=["--rebuild"]), 4, "cannot be read")
        return sync(server, folder)


# --- the warehouse and other processes ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OtherVersion:
    """The warehouse says it is of another schema version; `load --rebuild` is what the message asks for."""

    version: int

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        sync(server, folder)
        with duckdb.connect(str(folder / "data" / "warehouse.duckdb")) as connection:
            connection.execute("update schema_version set version = ?", [self.version])
        _check(sync(server, folder), 2, "load --rebuild")
        _check(sync(server, folder, verb="load", more=["--rebuild"]), 0, "rebuilt from")
        return sync(server, folder)


def _two_at_once(lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
    write_profile(folder, {})
    arguments = ["sync", *server.corpus.thread_ids()]
    environ = environ_for(server, COLUMNS="1000")
    with (
        started_cli(folder, *arguments, environ=environ) as one,
        started_cli(folder, *arguments, environ=environ) as two,
    ):
        outputs = ["".join(process.communicate()) for process in (one, two)]
    return Ended(max(one.returncode, two.returncode), "".join(outputs), folder / "data")


def _few_descriptors(lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
    write_profile(folder, {"concurrency": 32})
    return _in_shell("ulimit -n 64", server, folder)


@dataclass(frozen=True, slots=True)
class _LimitedFiles:
    """A sync whose files may have so many blocks of 512 bytes, then one without a limit."""

    blocks: int
    says: str

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        write_profile(folder, {})
        _check(_in_shell(f"ulimit -f {self.blocks}", server, folder), 2, self.says)
        return sync(server, folder)


def _in_shell(before: str, server: RunningEmulator, folder: Path, *, after: str = "true") -> Ended:
    """A sync in a shell that does something before and after it, in a mount namespace of its own if that mounts."""
    space = ["unshare", "--user", "--map-root-user", "--mount"] if "mount" in before else []
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
class _OnMount:
    """A sync into a small or read-only file system; what it left is taken over to a larger one, for the next sync."""

    options: str
    exit_code: int
    says: str

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        write_profile(folder, {})
        (folder / "data").mkdir()
        (folder / "left").mkdir()
        mount = f"mount -t tmpfs -o {self.options} tmpfs data"
        _check(_in_shell(mount, server, folder, after="cp -a data/. left/"), self.exit_code, self.says)
        (folder / "data").rmdir()
        (folder / "left").rename(folder / "data")
        return sync(server, folder)


# --- signals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A sync that hears a signal after so many requests, then the same command again."""

    number: signal.Signals
    requests: int
    more: Sequence[str] = ()

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        server.set_faults([{**_HELD, "after_requests": self.requests}])
        write_profile(folder, {"attempts": 1000})
        arguments = ["sync", *server.corpus.thread_ids(), *self.more]
        with started_cli(folder, *arguments, environ=environ_for(server)) as process:
            wait_until(lambda: len(server.requests()) > self.requests, what="the request", of=process)
            process.send_signal(self.number)
            _, stderr = process.communicate()
        wanted = -signal.SIGKILL if self.number == signal.SIGKILL else 130
        _check(Ended(process.returncode, stderr, folder), wanted, "")
        server.clear_faults()
        return sync(server, folder, more=self.more)


@dataclass(frozen=True, slots=True)
class _StoppedLoad:
    """A load that hears a signal once it has begun to make the warehouse, then the same command again."""

    number: signal.Signals
    exit_code: int

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        sync(server, folder)
        (folder / "data" / "warehouse.duckdb").unlink()
        with started_cli(folder, "load", environ=environ_for()) as process:
            wait_until((folder / "data" / "warehouse.duckdb.new").exists, what="the new warehouse", of=process)
            process.send_signal(self.number)
            _, stderr = process.communicate()
        _check(Ended(process.returncode, stderr, folder), self.exit_code, "")
        return sync(server, folder, verb="load")
