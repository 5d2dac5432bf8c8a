"""The planted faults as a document."""

import re
from collections.abc import Mapping, Sequence

from tests.mutants.mutant import Mutant
from tests.mutants.planting import Outcome

_ROW = re.compile(r"(\| .* \| `[^`]+` \| )(`[a-z_/]*test_.*`) \|")
_TEST = re.compile(r"`([^`]+)`")

_HEAD = """# Mutants

Written by `make mutants`. Each row is a fault that was planted into a copy of the product, one at a time, and the tests
that failed because of it; the same tests pass without the fault. A fault that breaks the import of a module or the
syntax of its SQL is no mutant, and neither is one that nobody could ever notice.
"""


def render_table(groups: Mapping[str, Sequence[Outcome]]) -> str:
    """Markdown: a table for each part of the product, with a row for each fault."""
    outcomes = [outcome for group in groups.values() for outcome in group]
    caught = sum(outcome.verdict == "caught" for outcome in outcomes)
    lines = [_HEAD, f"{len(outcomes):,} mutants, {caught:,} caught."]
    for name, group in groups.items():
        lines += ["", f"## {name}", "", "| mutant | what it breaks | where | caught by |", "|---|---|---|---|"]
        lines += [_row(outcome) for outcome in group]
    return "\n".join([*lines, ""])


def read_table(text: str) -> dict[str, tuple[str, ...]]:
    """The tests that caught each fault of such a document, by the start of its row."""
    rows = [_ROW.fullmatch(line) for line in text.splitlines()]
    return {row[1]: tuple(f"tests/{test}" for test in _TEST.findall(row[2])) for row in rows if row}


def row_start(mutant: Mutant) -> str:
    """What the row of a mutant says of it, up to the tests."""
    return f"| {mutant.fault} | {mutant.breaks} | `{mutant.file}` | "


def _row(outcome: Outcome) -> str:
    tests = ", ".join(f"`{test.removeprefix('tests/')}`" for test in outcome.red)
    return f"{row_start(outcome.mutant)}{tests or outcome.verdict.upper()} |"
