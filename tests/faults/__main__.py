"""Run the matrix and write its table: `python -m tests.faults [--only TEXT] [--out docs/reliability.md]`."""

import argparse
import sys
from pathlib import Path

from tests.faults.cell import make_lists
from tests.faults.matrix import all_cells
from tests.faults.running import Result, run_cell
from tests.faults.table import render_table


def main() -> int:
    """Every cell (or those whose group, fault and stage hold a text); 1 if one is wrong and no known limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("--only", default="", help="only cells with this text in group, fault or stage")
    parser.add_argument("--out", type=Path, help="the document to write (only for all cells)")
    asked = parser.parse_args()
    lists = make_lists()
    cells = [cell for cell in all_cells(lists) if asked.only in f"{cell.group}: {cell.fault}: {cell.stage}"]
    results: list[Result] = []
    for number, cell in enumerate(cells, start=1):
        result = run_cell(cell, lists)
        results.append(result)
        print(f"{number}/{len(cells)} {cell.group}: {cell.fault} @ {cell.stage}: {result.text}", file=sys.stderr)
        for problem in result.problems:
            print(f"    {problem}", file=sys.stderr)
    if asked.out is not None and not asked.only:
        asked.out.write_text(render_table(results), encoding="utf-8")
    wrong = [result for result in results if result.problems and not result.cell.limit]
    print(f"{len(results)} cells, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
