"""The matrix as a document."""

from collections.abc import Sequence

from tests.faults.cell import GROUPS
from tests.faults.running import Result

_HEAD = """# Reliability

Written by `make faults`. Each cell is a run of the command line against the emulator that misbehaves in one way at
one stage; afterwards every total in DuckDB (threads, runs and steps by status and type, tool calls by type, outputs,
search results, tokens by model) is compared with what the generator counted, less exactly what the cell may miss.
A cell is right only if exit code, certificates (`walks`), rejects and totals are all as they must be.

- **whole**: exit code 0, every total equals the truth. With rejects: what could not be read is in `rejects` (one row
  for each value or record), the rest is whole.
- **failed / broken / missing, list missing**: the walk over that list has this verdict, the thread is named, all else
  is whole.
- **first N kept**: the same, and the pages that came before the fault are in the warehouse.
- **nothing fetched, all named**: no thread could be fetched, and the command says so.
- exit 3: the server refuses us; exit 4: incomplete, running again goes on.

In the group Machine the first run must say what was wrong, with its exit code; the totals are those after the same
command was run again. Cells of the clock are syncs in the process of the matrix, which can be given a clock.
"""


def render_table(results: Sequence[Result]) -> str:
    """Markdown: a table for each group with a row for each fault and a column for each stage, then the known limits."""
    right = sum(not result.problems for result in results)
    lines = [_HEAD, f"{len(results):,} cells, {right:,} right."]
    for group in GROUPS:
        members = [result for result in results if result.cell.group == group]
        if members:
            lines += ["", f"## {group}", "", *_render_group(members)]
    limits = [result.cell for result in results if result.cell.limit]
    lines += ["", "## Known limits", ""]
    lines += [f"- {cell.fault} ({cell.stage}): {cell.limit}" for cell in limits] or ["None of the cells above."]
    return "\n".join([*lines, ""])


def _render_group(results: Sequence[Result]) -> list[str]:
    columns = list(dict.fromkeys(result.cell.stage for result in results))
    rows: dict[str, dict[str, str]] = {}
    for result in results:
        rows.setdefault(result.cell.fault, {})[result.cell.stage] = result.text
    head = [f"| fault | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return head + [
        f"| {fault} | {' | '.join(cells.get(column, '-') for column in columns)} |" for fault, cells in rows.items()
    ]
