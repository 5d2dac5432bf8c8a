"""Faults of the machine: damaged parts, no room, no right to write, other versions, other processes, signals."""

import signal
from collections.abc import Callable, Iterator, Mapping

from tests.faults.cell import Act, Cell, Lists, Outcome
from tests.faults.clock_cells import clock_cells
from tests.faults.machine_acts import (
    DamagedPart,
    LimitedFiles,
    OnMount,
    OtherVersion,
    RebuiltWithoutPart,
    Stopped,
    StoppedLoad,
    few_descriptors,
    two_at_once,
)

_NO_RAW, _NO_WAREHOUSE = "cannot write raw data", "cannot write the warehouse"


def machine_cells(lists: Lists) -> Iterator[Cell]:
    """Every fault of the group; what the first runs must say is checked on the way."""
    for name, damage in _DAMAGES.items():
        yield _cell(f"raw part {name}", "before the load", DamagedPart(damage))
        yield _cell(f"raw part {name}", "before a rebuild", RebuiltWithoutPart(damage))
    for version in (1, 99):
        yield _cell(f"warehouse of schema version {version}", "sync", OtherVersion(version))
    yield _cell("two syncs at once", "sync", two_at_once)
    yield _cell("64 file descriptors", "sync", few_descriptors)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        name = f"{number.name}, then the same command again"
        for stage, requests in (("listing", 3), ("steps", 60)):
            yield _cell(name, stage, Stopped(number, requests))
        yield _cell(name, "steps, --workers 2", Stopped(number, 60, ["--workers", "2"]))
        # A polite kill ends a load as an impolite one does: its transaction is safe to leave.
        code = 130 if number == signal.SIGINT else -number
        yield _cell(name, "load", StoppedLoad(number, code))
    for stage, blocks, says in (("landing", 60, _NO_RAW), ("load", 1000, _NO_WAREHOUSE)):
        yield _cell("files may not grow (ulimit -f), then they may", stage, LimitedFiles(blocks, says))
    yield from clock_cells()
    # All raw parts take about 200 KB, with the warehouse 4 MB.
    for stage, options, says in (("landing", "size=100k", _NO_RAW), ("load", "size=2500k", _NO_WAREHOUSE)):
        yield _cell("disk full, then room again", stage, OnMount(options, says), needs_mount=True)
    locked = OnMount("size=9m,ro", "Read-only file system")
    yield _cell("read-only folder, then writable", "sync", locked, needs_mount=True)


def _cell(fault: str, stage: str, act: Act, *, needs_mount: bool = False) -> Cell:
    return Cell("Machine", fault, stage, Outcome(), act=act, needs_mount=needs_mount)


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
