"""Processes of this machine that flatten batches, so that DuckDB inserts on one core what others make of pages."""

import contextlib
import io
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipeline.cluster.crew import Member, no_interrupt_passed_on
from pipeline.errors import PipelineError
from pipeline.flatten.batches import FlatBatch, Flattener, InThread, flatten_batch
from pipeline.flatten.garbage_collector import tune_garbage_collector
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import open_raw

# Below so many bytes of bodies starting a process costs more than it saves.
LEAST_BYTES = 48 * 2**20
MOST_PROCESSES = 4
_END_TIMEOUT_S = 1.5


class _Order(NamedTuple):
    folder: Path
    parts: Sequence[PartName]
    anew: bool


class _Answer(NamedTuple):
    """What goes before the frames themselves: the names of each of them, in their order."""

    frames: list[list[str]]
    damaged: list[tuple[PartName, str]]


class Flatteners:
    """Processes that each flatten a batch at a time. What one that has died was to do is done in this process."""

    def __init__(self, count: int) -> None:
        self.at_once = count
        self._starting = threading.Lock()
        self._members: list[Member] = []
        # None stands for one that has died.
        self._idle: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Have all processes wait for work."""
        with self._starting:
            for number in range(len(self._members), self.at_once):
                self._members.append(_start(number))
                self._idle.put(self._members[-1][1])

    def flatten(self, store: RawStore, parts: Sequence[PartName], *, anew: bool) -> FlatBatch:
        """The frames of parts, as soon as a process is idle that makes them."""
        self.start()
        link = self._idle.get()
        try:
            if link is not None:
                return _ask(link, _Order(store.folder, parts, anew))
        except (EOFError, OSError):
            link = None
        finally:
            self._idle.put(link)
        return flatten_batch(store, parts, anew=anew)

    def close(self) -> None:
        """Let go of the processes: they end by themselves."""
        for _, link in self._members:
            link.close()
        for process, _ in self._members:
            process.join(_END_TIMEOUT_S)


@contextlib.contextmanager
def flatteners(store: RawStore, parts: Iterable[PartName]) -> Iterator[Flattener]:
    """Who flattens these parts: processes where there is much in them, and cores for it."""
    with flatteners_of(sum(_until(map(store.read_body_bytes, parts)))) as chosen:
        if isinstance(chosen, Flatteners):
            chosen.start()
        yield chosen


@contextlib.contextmanager
def flatteners_of(size_bytes: int) -> Iterator[Flattener]:
    """The same for bodies of that size together."""
    count = min(_count_cores() - 1, MOST_PROCESSES)
    if count < 1 or size_bytes < LEAST_BYTES:
        yield InThread()
        return
    processes = Flatteners(count)
    try:
        yield processes
    finally:
        processes.close()


def _until(sizes: Iterable[int]) -> Iterator[int]:
    """Sizes as long as all before them are little."""
    total = 0
    for size_bytes in sizes:
        yield size_bytes
        total += size_bytes
        if total >= LEAST_BYTES:
            return


def _count_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(number: int) -> Member:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_live, args=(theirs,), name=f"flatten-{number}", daemon=True)
    with no_interrupt_passed_on():
        process.start()
    theirs.close()
    return process, ours


def _ask(link: Connection, order: _Order) -> FlatBatch:
    link.send(order)
    answer: _Answer | PipelineError = link.recv()
    if isinstance(answer, PipelineError):
        raise answer
    return FlatBatch(order.parts, [{name: _receive(link) for name in names} for names in answer.frames], answer.damaged)


def _live(link: Connection) -> None:
    """The whole life of a process. An error that is our bug ends it: who asked meets the same one."""
    # Where signals cannot be kept from a process that starts.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_garbage_collector()
    try:
        while True:
            _answer(link, link.recv())
    finally:
        # As at the end of the command line: not through the interpreter's own end.
        os._exit(0)


def _answer(link: Connection, order: _Order) -> None:
    try:
        found = flatten_batch(open_raw(order.folder), order.parts, anew=order.anew)
    except PipelineError as error:
        link.send(error)
        return
    link.send(_Answer([list(frames) for frames in found.frames], found.damaged))
    for frames in found.frames:
        for frame in frames.values():
            _send(link, frame)


def _send(link: Connection, frame: pl.DataFrame) -> None:
    content = io.BytesIO()
    frame.write_ipc(content, compression="uncompressed")
    # Neither pickled nor copied: most of a batch is texts.
    link.send_bytes(content.getbuffer())


def _receive(link: Connection) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(link.recv_bytes()), use_pyarrow=False)
