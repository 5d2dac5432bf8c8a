"""Runs of the command line for the matrix: short patience, one concurrency, nothing of the machine."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.emulator import RunningEmulator, running_emulator
from tests.faults.cell import Cell, Ended, Gap, Lists
from tests.faults.judging import find_problems
from tests.syncs import environ_for, run_cli

_SETTINGS: Mapping[str, object] = {"timeout_s": 2.0, "attempts": 3, "longest_retry_after_s": 1.0, "concurrency": 8}


@dataclass(frozen=True, slots=True)
class Result:
    """A cell that has run, and what was wrong with it."""

    cell: Cell
    problems: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What the table shows."""
        if self.problems:
            return "known limit" if self.cell.limit else "WRONG"
        return describe(self.cell)


def run_cell(cell: Cell, lists: Lists) -> Result:
    """Run a cell in a folder of its own."""
    corpus = cell.corpus(lists) if cell.corpus else lists.corpus
    served = cell.served(lists) if cell.served else corpus
    expected = cell.expected(lists) if cell.expected else corpus
    with tempfile.TemporaryDirectory() as name, running_emulator(served) as server:
        server.set_faults(cell.rules)
        try:
            ended = cell.act(lists, server, Path(name)) if cell.act else sync(server, Path(name), cell=cell)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            return Result(cell, [str(error)])
        return Result(cell, list(find_problems(cell, expected, ended)))


def sync(
    server: RunningEmulator, folder: Path, *, cell: Cell | None = None, more: Sequence[str] = (), verb: str = "sync"
) -> Ended:
    """One sync of all threads, ended."""
    write_profile(folder, cell.settings if cell else {})
    threads = ["--all-threads"] if cell is not None and cell.stage == "list of threads" else server.corpus.thread_ids()
    served = environ_for(server, COLUMNS="1000")
    if cell is not None and cell.base_url is not None:
        served["OPENAI_BASE_URL"] = cell.base_url.replace("{port}", str(server.port))
    ended = run_cli(folder, verb, *(threads if verb == "sync" else ()), *more, environ=served)
    return Ended(ended.returncode, ended.stdout + ended.stderr, folder / "data")


def write_profile(folder: Path, settings: Mapping[str, object]) -> None:
    """A pipeline.toml with short patience."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**_SETTINGS, **settings}.items()]
    (folder / "pipeline.toml").write_text("\n".join(["[profiles.default]", *lines, ""]))


def describe(cell: Cell) -> str:
    """A right cell in a few words."""
    outcome = cell.outcome
    words = []
    if outcome.exit_code:
        words.append(f"exit {outcome.exit_code}")
    words.append(_describe_gap(outcome.gap, outcome.verdict))
    if outcome.rejects:
        words.append(f"{outcome.rejects:,} rejects")
    return ", ".join(words)


def _describe_gap(gap: Gap | None, verdict: str) -> str:
    if gap is None:
        return "whole"
    if gap.thread_id is None:
        return "nothing fetched, all named"
    return f"{verdict}, first {gap.kept:,} kept" if gap.kept else f"{verdict}, list missing"
