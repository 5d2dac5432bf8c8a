"""A cell of the matrix: what goes wrong where, and what must come of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus

Json = dict[str, Any]
# What a step or run of the server becomes in the warehouse; None if it is only in `rejects`.
Patch = Callable[[Json, int], Json | None]
GROUPS = ("HTTP", "Cursors", "Records", "Machine")


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of the corpus that are struck: a thread of 250 runs, and a run of 300 steps, both three pages long."""

    corpus: Corpus
    long_thread: str
    thread_of_long_run: str
    long_run: str


@dataclass(frozen=True, slots=True)
class Gap:
    """What may be missing: all but the first `kept` items of a list, and with runs all of their steps.

    Without a run it is the list of the thread's runs, without a thread it is everything.
    """

    thread_id: str | None = None
    run_id: str | None = None
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must come of a cell; `says` must be in what the command prints, `patch` is what the records become."""

    exit_code: int = 0
    verdict: str = "complete"
    gap: Gap | None = None
    rejects: int = 0
    says: str = ""
    patch: Patch | None = None
    patched: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the command line ended and where it left its data."""

    exit_code: int
    output: str
    data_dir: Path


class Act(Protocol):
    """What a cell does in place of one sync: runs of the command line in `folder`; the last one is judged."""

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended: ...


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: `fault` is the row of the table, `stage` the column.

    `limit` is the reason why a cell that is not right is a known limit.
    """

    group: str
    fault: str
    stage: str
    outcome: Outcome
    rules: Sequence[Mapping[str, object]] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    corpus: Callable[[Lists], Corpus] | None = None
    act: Act | None = None
    base_url: str | None = None
    limit: str = ""


def make_lists() -> Lists:
    """A corpus of 30 threads with its longest lists."""
    corpus = generate_corpus(threads=30, seed=7)
    threads = corpus.threads_at(0)
    longest = max(threads, key=lambda thread: len(thread.runs))
    thread, run = max(((t, r) for t in threads for r in t.runs), key=lambda pair: len(pair[1].steps))
    return Lists(corpus, longest.item.object_id, thread.item.object_id, run.item.object_id)
