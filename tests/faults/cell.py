"""A cell of the matrix: what goes wrong where, and what must come of it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pipeline.emulator import Corpus, RunningEmulator, Truth, generate_corpus
from pipeline.emulator.account.corpus import Item, RunRecord, ThreadRecord
from pipeline.emulator.account.truth import Tally
from pipeline.protocol.lists import PAGE_LIMIT

Json = dict[str, Any]
# What a step or run of the server becomes in the warehouse; None if it is only in `rejects`.
Patch = Callable[[Json, int], Json | None]
GROUPS = ("HTTP", "Cursors", "Records", "Successors", "Machine")
# In the order of the columns.
STAGES = (
    "list of threads",
    "runs",
    "runs, page 2",
    "steps",
    "steps, page 2",
    "conversations",
    "conversation items",
    "named responses",
    "input items",
    "sessions",
    "turns",
    "subagents' turns",
    "turn items",
    "listing",
    "steps, --workers 2",
    "landing",
    "before the load",
    "load",
    "before a rebuild",
    "sync",
    "between syncs",
)


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of the corpus that are struck: a thread of 120 runs (two pages) and a run of 300 steps (three)."""

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
    """What must come of a cell; `says` must be in what the command prints, `patch` is what the records become.

    `refused` in place of a verdict: no walk at all may claim to have ended, however.
    """

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

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the last command ended. Raises AssertionError if the fault did not come about, or went wrong before."""


class Judge(Protocol):
    """What finds out whether a cell is right where the usual truth, that of threads, is not the one to ask."""

    def __call__(self, cell: "Cell", ended: Ended) -> Iterable[str]:
        """Everything that is not as the cell says it must be."""

    def describe(self, cell: "Cell") -> str:
        """A right cell in a few words."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: `fault` is the row of the table, `stage` the column.

    `lists` makes other lists of the usual ones. The server has `corpus`, or `served` (bytes that the truth cannot be
    counted from); the truth is that of `expected`, of `corpus`, or of the lists, or what the cell's own `judge` says.
    `limit` is the reason why the outcome, which is judged as any other, is less than one would wish. A cell that
    `needs_mount` cannot run everywhere.
    """

    group: str
    fault: str
    stage: str
    outcome: Outcome
    rules: Sequence[Mapping[str, object]] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    corpus: Callable[[Lists], Corpus] | None = None
    served: Callable[[Lists], Corpus] | None = None
    expected: Callable[[Lists], Corpus] | None = None
    act: Act | None = None
    judge: Judge | None = None
    base_url: str | None = None
    lists: Callable[[Lists], Lists] | None = None
    limit: str = ""
    needs_mount: bool = False

    def __str__(self) -> str:
        """One line to read, and to choose cells by."""
        return f"{self.group}: {self.fault}: {self.stage}"


def make_lists() -> Lists:
    """A few threads of a generated corpus, among them its longest run and a thread whose runs take two pages."""
    generated = generate_corpus(threads=30, seed=7)
    assert count_truth(generated.threads, 0) == generated.truth(0), "what is counted here is what the generator counted"
    threads = generated.threads_at(0)
    long_thread = min((t for t in threads if len(t.runs) > PAGE_LIMIT), key=lambda t: len(t.runs))
    thread, run = max(((t, r) for t in threads for r in t.runs), key=lambda pair: len(pair[1].steps))
    others = [t for t in threads if 1 < len(t.runs) < 6 and t is not thread][:4]
    corpus = with_threads(generated, [long_thread, thread, *others])
    return Lists(corpus, long_thread.item.object_id, thread.item.object_id, run.item.object_id)


def lengthened(lists: Lists, count: int) -> Lists:
    """The lists with so many runs in the long thread and so many steps in the long run, copies under other ids."""
    threads = []
    for thread in lists.corpus.threads:
        runs = list(thread.runs)
        if thread.item.object_id == lists.long_thread:
            runs = [_copy_run(runs[place % len(runs)], place // len(runs)) for place in range(count)]
        for index, run in enumerate(runs):
            if run.item.object_id == lists.long_run:
                steps = [_copy_item(run.steps[n % len(run.steps)], n // len(run.steps)) for n in range(count)]
                runs[index] = replace(run, steps=tuple(steps))
        threads.append(replace(thread, runs=tuple(runs)))
    return replace(lists, corpus=with_threads(lists.corpus, threads))


def _copy_run(run: RunRecord, number: int) -> RunRecord:
    """The run under the id of its nth copy, with steps that are of that run; the 0th is the run itself."""
    old, item = run.item.object_id, _copy_item(run.item, number)
    steps = [_copy_item(_renamed(step, old, item.object_id), number) for step in run.steps]
    return RunRecord(item, tuple(steps))


def _copy_item(item: Item, number: int) -> Item:
    new_id = f"{item.object_id}n{number}" if number else item.object_id
    return replace(_renamed(item, item.object_id, new_id), object_id=new_id)


def _renamed(item: Item, old: str, new: str) -> Item:
    def write(body: bytes) -> bytes:
        return body.replace(old.encode(), new.encode())

    content = item.body_with_content
    return Item(item.object_id, write(item.body), None if content is None else write(content))


def with_threads(corpus: Corpus, threads: Sequence[ThreadRecord], *, counted: bool = True) -> Corpus:
    """The corpus with these threads alone, which do not change between its phases; its truth counted anew or not."""
    truths = (count_truth(threads, 0), count_truth(threads, 1)) if counted else corpus.truths
    return replace(corpus, threads=tuple(threads), changed_runs={}, new_runs={}, truths=truths)


def count_truth(threads: Sequence[ThreadRecord], phase: int) -> Truth:
    """Totals of the objects of these threads."""
    tally = Tally()
    for thread in threads:
        tally.threads += 1
        for run in thread.runs:
            steps = [json.loads(item.body_with_content or item.body) for item in run.steps]
            tally.count_run(json.loads(run.item.body), steps)
    return tally.freeze(phase)
