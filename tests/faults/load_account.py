"""A large account in which a tenth of the runs go on, served by a process of its own."""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.emulator import Corpus, generate_corpus, run_emulator
from pipeline.emulator.account.corpus import Item, RunRecord, ThreadRecord
from pipeline.protocol.lists import PAGE_LIMIT
from pipeline.protocol.wire import TERMINAL_STATUSES
from tests.faults.cell import count_truth

ACCOUNT_FILE = "account.json"
_STEPS_PER_RUN = 6.0
# The generator's ordinary threads have fewer steps than its two means multiplied; with this a few more than asked for.
_RUNS_MORE = 1.13
_CHANGED_EVERY = 10
_ENDS = ("completed_at", "failed_at", "cancelled_at", "expires_at", "last_error", "incomplete_details", "usage")


@dataclass(frozen=True, slots=True)
class Expected:
    """The pages that a sync of each phase has to ask for: of lists, and of steps of runs that are not known whole."""

    first_requests: int
    second_requests: int
    runs: int
    changed_runs: int


def make_account(threads: int, steps: int) -> Corpus:
    """Threads with at most one page of finished runs each; every tenth run is still at work in phase 0."""
    runs_per_thread = _RUNS_MORE * steps / threads / _STEPS_PER_RUN
    corpus = generate_corpus(threads=threads, runs_per_thread=runs_per_thread, steps_per_run=_STEPS_PER_RUN)
    after = [ThreadRecord(thread.item, tuple(_finished(thread))[:PAGE_LIMIT]) for thread in corpus.threads_at(1)]
    runs = [run for thread in after for run in thread.runs]
    changed = {run.item.object_id: run for run in runs[::_CHANGED_EVERY]}
    before = [ThreadRecord(thread.item, tuple(_at_work(run, changed) for run in thread.runs)) for thread in after]
    truths = (count_truth(before, 0), replace(count_truth(after, 1), phase=1))
    return replace(corpus, threads=tuple(before), changed_runs=changed, new_runs={}, truths=truths)


def _finished(thread: ThreadRecord) -> Iterator[RunRecord]:
    return (run for run in thread.runs if json.loads(run.item.body)["status"] in TERMINAL_STATUSES)


def _at_work(run: RunRecord, changed: dict[str, RunRecord]) -> RunRecord:
    """The run as it is, or before it ended, with half of its steps, if it is one of those that change."""
    if run.item.object_id not in changed:
        return run
    body = json.loads(run.item.body) | {"status": "in_progress"} | dict.fromkeys(_ENDS)
    return RunRecord(Item(run.item.object_id, json.dumps(body).encode()), run.steps[: len(run.steps) // 2])


def expect(account: Corpus) -> Expected:
    """The requests that are needed, counted from the objects."""
    runs = [run for thread in account.threads for run in thread.runs]
    threads = len(account.threads)
    return Expected(
        first_requests=threads + sum(_pages(run) for run in runs),
        second_requests=threads + sum(_pages(run) for run in account.changed_runs.values()),
        runs=len(runs),
        changed_runs=len(account.changed_runs),
    )


def _pages(run: RunRecord) -> int:
    return max(1, math.ceil(len(run.steps) / PAGE_LIMIT))


def main() -> None:
    """Make the account, write what is to be expected into a folder, serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.load_account", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    asked = parser.parse_args()
    account = make_account(asked.threads, asked.steps)
    expected = expect(account)
    asked.folder.joinpath("threads.txt").write_text("".join(f"{name}\n" for name in account.thread_ids()))
    said = {name: getattr(expected, name) for name in Expected.__dataclass_fields__}
    said |= {"truths": [truth.as_dict() for truth in account.truths]}
    asked.folder.joinpath(ACCOUNT_FILE).write_text(json.dumps(said))
    run_emulator(corpus=account, stop_on_stdin_eof=True)


if __name__ == "__main__":
    main()
