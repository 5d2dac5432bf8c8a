"""Plant every fault and see it caught: `python -m tests.mutants [--only TEXT ...] [--out docs/mutants.md]`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.groups import GROUPS, all_mutants
from tests.mutants.mutant import Mutant
from tests.mutants.planting import Outcome, find_red, take_snapshot, try_mutant
from tests.mutants.table import read_table, render_table, row_start

_AT_ONCE = 2


def main() -> int:
    """Every mutant (or those whose group, fault, file or tests hold a text); 1 unless all of them are caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=main.__doc__)
    parser.add_argument(
        "--only", action="append", default=[], help="only mutants with this text in group, fault, file or tests"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="the document to write when all are caught; with --only it keeps the rows of the others",
    )
    asked = parser.parse_args()
    groups = {
        name: [mutant for mutant in group if _is_asked(asked.only, name, mutant)] for name, group in GROUPS.items()
    }
    mutants = [mutant for group in groups.values() for mutant in group]
    if not mutants:
        parser.error(f"no mutant has one of {asked.only} in its group, fault, file or tests")
    started_s = time.monotonic()
    outcomes = _try_all(mutants)
    missed = [outcome for outcome in outcomes if outcome.verdict != "caught"]
    print(f"{len(outcomes)} mutants, {len(missed)} not caught, in {time.monotonic() - started_s:.0f} s")
    if asked.out and not missed:
        _write(asked.out, outcomes)
    return 1 if missed else 0


def _is_asked(texts: Sequence[str], group: str, mutant: Mutant) -> bool:
    about = " ".join((group, mutant.fault, mutant.file, *mutant.tests))
    return not texts or any(text in about for text in texts)


def _write(path: Path, outcomes: Sequence[Outcome]) -> None:
    """The document with these outcomes; a mutant that was not tried keeps its row, one without a row gets none."""
    found = {outcome.mutant: outcome for outcome in outcomes}
    known = read_table(path.read_text("utf-8")) if path.exists() else {}
    for mutant in all_mutants():
        if mutant not in found and (red := known.get(row_start(mutant))):
            found[mutant] = Outcome(mutant, "caught", red)
    table = {name: [found[mutant] for mutant in group if mutant in found] for name, group in GROUPS.items()}
    path.write_text(render_table(table), "utf-8")


def _try_all(mutants: list[Mutant]) -> list[Outcome]:
    """The outcome of each mutant in their order; one line for each on standard output when it is known."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        snapshot = take_snapshot(folder / "snapshot")
        red = find_red(snapshot, mutants)

        def attempt(number: int, mutant: Mutant) -> Outcome:
            started_s = time.monotonic()
            if before := red.intersection(mutant.node_ids):
                outcome = Outcome(mutant, "refused", reason=f"without it {', '.join(sorted(before))} failed already")
            else:
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    outcome = try_mutant(mutant, snapshot, Path(own))
            _say(number, len(mutants), outcome, time.monotonic() - started_s)
            return outcome

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(attempt, range(1, len(mutants) + 1), mutants))


def _say(number: int, total: int, outcome: Outcome, seconds: float) -> None:
    details = outcome.reason or ", ".join(test.removeprefix("tests/") for test in outcome.red)
    verdict = outcome.verdict if outcome.verdict == "caught" else outcome.verdict.upper()
    print(f"{number}/{total} {verdict}: {outcome.mutant.fault} ({seconds:.1f} s) {details}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
