"""Plant every fault and see it caught: `python -m tests.mutants [--only TEXT] [--out docs/mutants.md]`."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.groups import GROUPS
from tests.mutants.mutant import Mutant
from tests.mutants.planting import Outcome, find_red, take_snapshot, try_mutant
from tests.mutants.table import render_table

_AT_ONCE = 2


def main() -> int:
    """Every mutant (or those whose group, fault or file holds a text); 1 unless all of them are caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=main.__doc__)
    parser.add_argument("--only", default="", help="only mutants with this text in group, fault, file or tests")
    parser.add_argument("--out", type=Path, help="the document to write (only when all mutants are caught)")
    asked = parser.parse_args()
    if asked.only and asked.out:
        parser.error("--out is for all mutants, --only for some")
    groups = {
        name: [mutant for mutant in group if _is_asked(asked.only, name, mutant)] for name, group in GROUPS.items()
    }
    mutants = [mutant for group in groups.values() for mutant in group]
    if not mutants:
        parser.error(f"no mutant has {asked.only!r} in its group, fault, file or tests")
    started_s = time.monotonic()
    outcomes = _try_all(mutants)
    missed = [outcome for outcome in outcomes if outcome.verdict != "caught"]
    print(f"{len(outcomes)} mutants, {len(missed)} not caught, in {time.monotonic() - started_s:.0f} s")
    if asked.out and not missed:
        by_mutant = {outcome.mutant: outcome for outcome in outcomes}
        table = {name: [by_mutant[mutant] for mutant in group] for name, group in groups.items()}
        asked.out.write_text(render_table(table), "utf-8")
    return 1 if missed else 0


def _is_asked(text: str, group: str, mutant: Mutant) -> bool:
    return text in " ".join((group, mutant.fault, mutant.file, *mutant.tests))


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
