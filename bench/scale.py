"""The plan past this machine: `python -m bench.scale` measures a sync of the emulator and works out a large account.

`--write` keeps the figures in bench/scale.json and their tables in docs/scale.md; `--only naming` (or `accounts`,
`listing`, `walks`, `publish`) measures that and takes the rest from the file, `--from-file` measures nothing.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from bench.report import describe_machine
from bench.scale_lake import measure_publishing
from bench.scale_plan import Figures, format_plan
from bench.scale_runs import FEW_THREADS, THREADS, measure_account, measure_listing, measure_naming, measure_walks
from bench.settings import ROOT

FILE = ROOT / "bench" / "scale.json"
DOC = ROOT / "docs" / "scale.md"
MARKS = ("<!-- plan -->\n", "<!-- end of plan -->")
GROUPS = ("accounts", "naming", "listing", "walks", "publish")


def main() -> None:
    """Measure, print, and keep where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale")
    parser.add_argument("--write", action="store_true", help="keep the figures, and the tables in docs/scale.md")
    parser.add_argument("--from-file", action="store_true", help="take the figures of bench/scale.json")
    parser.add_argument("--only", action="append", choices=GROUPS, help="measure this, take the rest from the file")
    given = parser.parse_args()
    figures = measure_groups([] if given.from_file else given.only or GROUPS)
    print(format_plan(figures))
    if given.write:
        FILE.write_text(json.dumps(asdict(figures), indent=2) + "\n")
        before, _, rest = DOC.read_text().partition(MARKS[0])
        DOC.write_text(before + MARKS[0] + format_plan(figures) + MARKS[1] + rest.partition(MARKS[1])[2])


def read_figures() -> Figures:
    """What was kept."""
    return msgspec.json.decode(FILE.read_bytes(), type=Figures)


def measure_groups(groups: Sequence[str]) -> Figures:
    """These groups of figures measured, from commands that a person could type; the others as they were kept."""
    kept: dict[str, Any] = json.loads(FILE.read_text())
    if "accounts" in groups:
        kept |= {"few": asdict(measure_account(FEW_THREADS)), "many": asdict(measure_account(THREADS))}
    takes: dict[str, Callable[[], Any]] = {
        "naming": measure_naming,
        "listing": measure_listing,
        "walks": measure_walks,
        "publish": measure_publishing,
    }
    kept |= {name: _as_kept(take()) for name, take in takes.items() if name in groups}
    if groups:
        kept["machine"] = f"{datetime.now(UTC):%Y-%m-%d}, {describe_machine()}"
    return msgspec.convert(kept, Figures)


def _as_kept(taken: Any) -> dict[str, Any]:
    return {name: asdict(each) for name, each in taken.items()} if isinstance(taken, dict) else asdict(taken)


if __name__ == "__main__":
    main()
