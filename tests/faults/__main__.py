"""Proofs of reliability: `python -m tests.faults [cells|kills|servers|load] [--out docs/reliability.md]`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, get_args

from pipeline.protocol.pages import Protocol
from tests.faults.cell import GROUPS, make_lists
from tests.faults.differential import run_seed, run_successors
from tests.faults.document import read_section, write_section
from tests.faults.kill_table import render_kills
from tests.faults.kills import run_seeds
from tests.faults.load import Load, measure_load
from tests.faults.load_table import render_load
from tests.faults.matrix import all_cells
from tests.faults.running import Result, run_cell
from tests.faults.table import Matrix, added, matrix_of, places_of, read_table, render_table, replaced

# Servers of conversations or sessions that are synced as one.
_TOGETHER = 25


def main() -> int:
    """Run one kind of proof and write its section of the document; 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    out = argparse.ArgumentParser(add_help=False)
    out.add_argument("--out", type=Path, help="the document to write a section of")
    verbs = parser.add_subparsers(dest="verb", required=True)
    cells = verbs.add_parser("cells", parents=[out], help="the matrix: every fault at every stage")
    cells.add_argument("--only", default="", help="only cells with this text in group, fault or stage; writes nothing")
    groups = "only this group, to be given for each; the others stay in the document as they are"
    cells.add_argument("--group", action="append", choices=GROUPS, help=groups)
    new = "only cells that the document has no row for; the others stay as they are, with the day of their group"
    cells.add_argument("--new", action="store_true", help=new)
    kills = verbs.add_parser("kills", parents=[out], help="kill -9 at random points")
    kills.add_argument("--seeds", type=int, default=200, help="how many")
    kills.add_argument("--first", type=int, default=0, help="the first seed; with --seeds 1 one is run again")
    kills.add_argument("--jobs", type=int, default=1, help="how many at a time")
    servers = verbs.add_parser("servers", help="syncs of servers of random habits beside the truth")
    servers.add_argument("--seeds", type=int, default=500, help="how many")
    servers.add_argument("--first", type=int, default=0, help="the first seed")
    load = verbs.add_parser("load", parents=[out], help="a large account: memory, throughput, the second sync")
    load.add_argument("--threads", type=int, default=5_000)
    load.add_argument("--steps", type=int, default=250_000)
    asked = parser.parse_args()
    if asked.verb == "cells":
        return _run_cells(asked.only, asked.group or GROUPS, asked.out, is_new=asked.new, refuse=parser.error)
    if asked.verb == "servers":
        seeds = range(asked.first, asked.first + asked.seeds)
        return max(_run_servers(seeds, protocol) for protocol in get_args(Protocol))
    if asked.verb == "kills":
        return _run_kills(range(asked.first, asked.first + asked.seeds), asked.jobs, asked.out)
    return _run_load(asked.threads, asked.steps, asked.out)


def _run_cells(
    only: str, groups: Sequence[str], out: Path | None, *, is_new: bool, refuse: Callable[[str], NoReturn]
) -> int:
    lists = make_lists()
    cells = [cell for cell in all_cells(lists) if cell.group in groups and only in str(cell)]
    if not cells:
        refuse(f"no cell has {only!r} in group, fault or stage")
    # Read before anything runs: a document that cannot be gone on with is told at once.
    kept = read_section(out, "matrix") if out is not None and (is_new or set(groups) < set(GROUPS)) else None
    try:
        old = read_table(kept) if kept else Matrix([], {})
    except ValueError as error:
        refuse(f"{out}: {error}")
    if is_new:
        places = places_of(old)
        cells = [cell for cell in cells if (cell.group, cell.fault, cell.stage) not in places]
    results: list[Result] = []
    for number, cell in enumerate(cells, start=1):
        result = run_cell(cell, lists)
        results.append(result)
        print(f"{number}/{len(cells)} {cell}: {result.text}", file=sys.stderr)
        for problem in result.problems:
            print(f"    {problem}", file=sys.stderr)
    if out is not None and not only:
        ran = matrix_of(results, datetime.now(UTC).date())
        write_section(out, "matrix", render_table(added(old, ran, all_cells(lists)) if is_new else replaced(old, ran)))
    wrong = [result for result in results if result.problems]
    missed = [result for result in results if not result.has_run]
    print(f"{len(results)} cells, {len(wrong)} wrong, {len(missed)} not run here")
    return 1 if wrong else 0


def _run_kills(seeds: range, jobs: int, out: Path | None) -> int:
    results = run_seeds(seeds, jobs=jobs)
    if out is not None:
        write_section(out, "kills", render_kills(results))
    wrong = sum(bool(ended.problems) for ended in results)
    print(f"{len(results)} seeds, {wrong} wrong")
    return 1 if wrong else 0


def _run_servers(seeds: range, protocol: Protocol) -> int:
    wrong = 0
    together = 1 if protocol == "assistants" else _TOGETHER
    for first in seeds[::together]:
        some = range(first, min(first + together, seeds.stop))
        problems = run_seed(first) if protocol == "assistants" else run_successors(some, protocol)
        wrong += len(problems) if together > 1 else bool(problems)
        for problem in problems:
            print(problem, file=sys.stderr)
    print(f"{len(seeds)} servers of {protocol}, {wrong} wrong")
    return 1 if wrong else 0


def _run_load(threads: int, steps: int, out: Path | None) -> int:
    load: Load = measure_load(threads, steps)
    text = render_load(load)
    print(text)
    if out is not None:
        write_section(out, "load", text)
    return 1 if load.problems else 0


if __name__ == "__main__":
    sys.exit(main())
