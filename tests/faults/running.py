"""Runs of the command line for the matrix: few attempts, one concurrency, nothing of the machine."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.emulator import Corpus, RunningEmulator, running_emulator
from tests.faults.cell import Cell, Ended, Gap, Lists
from tests.faults.judging import find_problems
from tests.faults.mounting import can_mount
from tests.syncs import environ_for, run_cli

WRONG, NOT_RUN, LIMIT = "WRONG", "not run here", "known limit"
# An answer that comes is waited for, on however busy a machine; cells whose answer never comes have less patience.
_SETTINGS: Mapping[str, object] = {"timeout_s": 60.0, "attempts": 3, "longest_retry_after_s": 1.0, "concurrency": 8}


@dataclass(frozen=True, slots=True)
class Result:
    """A cell, and what was wrong with it if it has run."""

    cell: Cell
    problems: list[str] = field(default_factory=list)
    has_run: bool = True

    @property
    def text(self) -> str:
        """What the table shows."""
        if not self.has_run:
            return NOT_RUN
        if self.problems:
            return WRONG
        return LIMIT if self.cell.limit else describe(self.cell)


def run_cell(cell: Cell, lists: Lists) -> Result:
    """Run a cell in a folder of its own, if this machine can."""
    if cell.needs_mount and not can_mount():
        return Result(cell, has_run=False)
    lists = cell.lists(lists) if cell.lists else lists
    corpus = cell.corpus(lists) if cell.corpus else lists.corpus
    served = cell.served(lists) if cell.served else corpus
    expected = cell.expected(lists) if cell.expected else corpus
    if problems := list(find_no_fault(cell, served, sound=lists.corpus)):
        return Result(cell, problems)
    with tempfile.TemporaryDirectory() as name, running_emulator(served) as server:
        server.set_faults(cell.rules)
        try:
            ended = cell.act(lists, server, Path(name)) if cell.act else sync(server, Path(name), cell=cell)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            return Result(cell, [str(error)])
        unstruck = list(find_unstruck(cell, server))
        found = cell.judge(cell, ended) if cell.judge else find_problems(cell, expected, ended)
        return Result(cell, [*unstruck, *found])


def find_no_fault(cell: Cell, served: Corpus, *, sound: Corpus) -> Iterator[str]:
    """What a cell that has nothing to go wrong says of itself: it would be right without a proof of anything."""
    changed = cell.corpus is not None or cell.served is not None
    if changed and served.threads == sound.threads:
        yield "the account that is served is the sound one"
    if not (changed or cell.rules or cell.act or cell.base_url):
        yield "nothing goes wrong in this cell"


def find_unstruck(cell: Cell, server: RunningEmulator) -> Iterator[str]:
    """Faults of the server that were not served, or not as often as the cell says; acts see to those of their own."""
    if cell.base_url is not None and server.requests():
        yield f"{len(server.requests())} requests came through"
    if not cell.rules:
        return
    for rule, struck in zip(cell.rules, server.struck(), strict=True):
        times = rule.get("times")
        if struck == 0 or times not in (None, struck):
            yield f"the fault {rule['fault']} struck {struck} times in place of {times or 'at least once'}"


def sync(
    server: RunningEmulator,
    folder: Path,
    *,
    cell: Cell | None = None,
    more: Sequence[str] = (),
    threads: Sequence[str] | None = None,
) -> Ended:
    """One sync, of all threads if none are named, ended."""
    write_profile(folder, cell.settings if cell else {})
    named = ["--all-threads"] if cell is not None and cell.stage == "list of threads" else server.corpus.thread_ids()
    served = environ_for(server, COLUMNS="1000")
    if cell is not None and cell.base_url is not None:
        served["OPENAI_BASE_URL"] = cell.base_url.replace("{port}", str(server.port))
    return run_verb(folder, "sync", *(named if threads is None else threads), *more, environ=served)


def run_verb(folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> Ended:
    """`python -m pipeline ARGUMENTS` in a folder with its data, ended."""
    ended = run_cli(folder, *arguments, environ=environ or environ_for(COLUMNS="1000"))
    return Ended(ended.returncode, ended.stdout + ended.stderr, folder / "data")


def write_profile(folder: Path, settings: Mapping[str, object]) -> None:
    """A pipeline.toml with few attempts."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**_SETTINGS, **settings}.items()]
    (folder / "pipeline.toml").write_text("\n".join(["[profiles.default]", *lines, ""]))


def describe(cell: Cell) -> str:
    """A right cell in a few words."""
    if cell.judge is not None:
        return cell.judge.describe(cell)
    outcome = cell.outcome
    words = []
    if outcome.exit_code:
        words.append(f"exit {outcome.exit_code}")
    words.append(_describe_gap(cell, outcome.gap, outcome.verdict))
    if outcome.rejects:
        words.append(f"{outcome.rejects:,} rejects")
    return ", ".join(words)


def _describe_gap(cell: Cell, gap: Gap | None, verdict: str) -> str:
    if gap is None:
        return "whole"
    if gap.thread_id is None:
        if verdict == "refused":
            return "refused altogether, nothing claimed"
        return "no list, nothing claimed" if cell.stage == "list of threads" else "nothing fetched, all named"
    return f"{verdict}, first {gap.kept:,} kept" if gap.kept else f"{verdict}, list missing"
