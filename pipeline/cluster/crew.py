"""Processes that wait for their share of an extraction. They may be started before it is known what there is to fetch.

Reading the libraries is most of the time until the first request; a process that was started first thing reads them
while its parent does.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from pipeline.http.pacing import Moment

# Below this many threads, starting a process costs more than it saves.
LEAST_THREADS = 250
MOST_WORKERS = 4
# Of a file that names threads: shorter ids are not known.
_BYTES_OF_AN_ID = 16

Member = tuple[SpawnProcess, Connection]


def count_workers(asked: int, *, threads: int, new_threads: int) -> int:
    """How many processes fetch: as asked, never more than there are threads; 0 asked is as many as help.

    That is one less than there are processors, for one is busy loading, and none (0) where little is new.
    """
    if asked:
        return min(asked, threads)
    return 0 if new_threads < LEAST_THREADS else max(1, min((os.cpu_count() or 1) - 1, MOST_WORKERS))


class Crew:
    """Processes with one pause in common; the n-th that is taken, from 0, does the n-th share."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._paused_until: Moment = self._context.Value("d", 0.0, lock=False)
        self._waiting: list[Member] = []

    def start(self, count: int) -> None:
        """Have that many wait."""
        self._waiting += [self._start(number) for number in range(len(self._waiting), count)]

    def take(self, count: int) -> list[Member]:
        """That many, each with the link to give it its work by; any other ends."""
        self.start(count)
        taken = self._waiting[:count]
        self.dismiss(self._waiting[count:])
        self._waiting = []
        return taken

    def dismiss(self, members: Sequence[Member] | None = None) -> None:
        """Let go of those, or of all that wait: they end by themselves."""
        for _, link in self._waiting if members is None else members:
            link.close()

    def _start(self, number: int) -> Member:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_live, args=(theirs, self._paused_until), name=f"extract-{number}", daemon=True
        )
        with no_interrupt_passed_on():
            process.start()
        theirs.close()
        return process, ours


def start_early(asked: int, *, data_dir: Path, files: Sequence[str]) -> Crew | None:
    """Processes for what looks like a first sync of a long list; None where they might be in vain."""
    with contextlib.suppress(OSError):
        if data_dir.exists() and any(data_dir.iterdir()):
            return None
        threads = sum(Path(file).stat().st_size for file in files if file != "-") // _BYTES_OF_AN_ID
        if count := count_workers(asked, threads=threads, new_threads=threads):
            crew = Crew()
            crew.start(count)
            return crew
    return None


@contextlib.contextmanager
def no_interrupt_passed_on() -> Iterator[None]:
    """Processes that are started inside never hear Ctrl-C, which reaches their whole group: the parent decides."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _live(link: Connection, paused_until: Moment) -> None:
    # Where signals cannot be kept from a process that starts.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not before: who starts this process has read none of it yet.
    from pipeline.cluster.worker import work

    work(link, paused_until)
