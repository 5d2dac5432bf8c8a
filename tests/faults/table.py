"""The matrix as a document, and a document as the matrix: what the one says of the other is all that is in it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from tests.faults.cell import GROUPS, STAGES, Cell
from tests.faults.running import LIMIT, NOT_RUN, WRONG, Result

_HEAD = """# Reliability

Written by `make faults`. Each cell is a run of the command line against the emulator that misbehaves in one way at
one stage; afterwards every total in DuckDB (threads, runs and steps by status and type, tool calls by type, outputs,
search results, tokens by model) is compared with what the generator counted, less exactly what the cell may miss.
A cell is right only if exit code, certificates (`walks`), rejects and totals are all as they must be, and if the fault
came about: a rule of the emulator must really have changed answers, as many as it says, a signal must have found the
process running, and so on.

- **whole**: exit code 0, every total equals the truth. With rejects: what could not be read is in `rejects` (one row
  for each value or record), the rest is whole.
- **failed / broken / missing, list missing**: the walk over that list has this verdict, the thread is named, all else
  is whole.
- **first N kept**: the same, and the pages that came before the fault are in the warehouse.
- **items in doubt**: the same of a list of items (what a turn did, outputs of calls): the runs are all there, and none
  has more than the server has of it.
- **nothing fetched, all named**: no thread could be fetched, and the command names each.
- **no list, nothing claimed**: nobody could say which threads there are; the command says so.
- **refused altogether, nothing claimed**: the server lets us have nothing; the command says so once, no walk ended.
- **known limit**: exit code 0, and all is there but what the list below names: no more, no less.
- **not run here**: the machine that wrote this lets nobody mount a small file system of his own.
- exit 3: the server refuses us; exit 4: incomplete, running again goes on.

The group Successors is of conversations, responses that are named by their ids, and sessions with their turns; each
response and each turn is compared with what the emulator tells of it, and all but the struck thread is exact.
In the group Machine the first run must say what was wrong, with its exit code; the totals are those after the same
command was run again, or those that the messages ask for. Before a rebuild that is: move the part away,
`sync --full` for its threads, `load --rebuild --forget-pruned`. Cells of the clock are syncs in the process of the
matrix, which can be given a clock.
"""
_LIMITS = "## Known limits"
_NO_LIMITS = "None of the cells above."
_RAN = re.compile(r"^Ran on (\d{4}-\d\d-\d\d): .+$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell as the document has it; `limit` is the reason of a known limit."""

    group: str
    fault: str
    stage: str
    text: str
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Cells in the order of the document, and the day on which each group ran (UTC)."""

    entries: Sequence[Entry]
    ran_on: Mapping[str, date]


def matrix_of(results: Sequence[Result], ran_on: date) -> Matrix:
    """What has just run."""
    entries = [_entry_of(result) for result in results]
    return Matrix(entries, dict.fromkeys((entry.group for entry in entries), ran_on))


def _entry_of(result: Result) -> Entry:
    cell, text = result.cell, result.text
    return Entry(cell.group, cell.fault, cell.stage, text, cell.limit if text == LIMIT else "")


def replaced(old: Matrix, new: Matrix) -> Matrix:
    """The old matrix with the groups of the new one in place of its own."""
    kept = [entry for entry in old.entries if entry.group not in new.ran_on]
    entries = sorted([*kept, *new.entries], key=lambda entry: GROUPS.index(entry.group))
    return Matrix(entries, {**old.ran_on, **new.ran_on})


def places_of(matrix: Matrix) -> dict[tuple[str, str, str], Entry]:
    """The cells by group, fault and stage."""
    return {(entry.group, entry.fault, entry.stage): entry for entry in matrix.entries}


def added(old: Matrix, new: Matrix, cells: Sequence[Cell]) -> Matrix:
    """The old matrix with the cells of the new one, in the order of all; a group keeps its day."""
    entries = places_of(old) | places_of(new)
    order = [(cell.group, cell.fault, cell.stage) for cell in cells]
    return Matrix([entries[place] for place in order if place in entries], {**new.ran_on, **old.ran_on})


def render_table(matrix: Matrix) -> str:
    """Markdown: a table for each group with a row for each fault and a column for each stage, then the known limits."""
    lines = [_HEAD, _count(matrix.entries)]
    for group in GROUPS:
        if group in matrix.ran_on:
            members = [entry for entry in matrix.entries if entry.group == group]
            ran = f"Ran on {matrix.ran_on[group]}: {_count(members)}"
            lines += ["", f"## {group}", "", ran, "", *_render_group(members)]
    limits = [f"- {_name(entry)}: {entry.limit}" for entry in matrix.entries if entry.limit]
    lines += ["", _LIMITS, "", *(limits or [_NO_LIMITS])]
    return "\n".join([*lines, ""])


def _count(entries: Sequence[Entry]) -> str:
    texts = Counter(entry.text for entry in entries)
    right = len(entries) - texts[WRONG] - texts[NOT_RUN]
    words = [f"{len(entries):,} cells", f"{right:,} right"]
    words += [f"{texts[LIMIT]:,} of them known limits"] if texts[LIMIT] else []
    words += [f"{texts[WRONG]:,} wrong"] if texts[WRONG] else []
    words += [f"{texts[NOT_RUN]:,} not run here"] if texts[NOT_RUN] else []
    return ", ".join(words) + "."


def _name(entry: Entry) -> str:
    return f"{entry.fault} ({entry.stage})"


def _render_group(entries: Sequence[Entry]) -> list[str]:
    columns = [stage for stage in STAGES if any(entry.stage == stage for entry in entries)]
    rows: dict[str, dict[str, str]] = {}
    for entry in entries:
        rows.setdefault(entry.fault, {})[entry.stage] = entry.text
    head = [f"| fault | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return head + [
        f"| {fault} | {' | '.join(cells.get(column, '-') for column in columns)} |" for fault, cells in rows.items()
    ]


def read_table(text: str) -> Matrix:
    """The matrix that a document was written from. Raises ValueError if a group does not say when it ran."""
    reasons = _read_limits(text)
    entries, ran_on = [], {}
    for group, lines in _read_groups(text):
        found = [date.fromisoformat(match[1]) for line in lines if (match := _RAN.match(line))]
        if not found:
            raise ValueError(f"the group {group} does not say when it ran: run all groups")
        ran_on[group] = found[0]
        head, _, *rows = [_split(line) for line in lines if line.startswith("|")]
        for fault, *texts in rows:
            said = zip(head[1:], texts, strict=True)
            cells = [Entry(group, fault, stage, text) for stage, text in said if text != "-"]
            entries += [replace(cell, limit=reasons.get(_name(cell), "")) for cell in cells]
    return Matrix(entries, ran_on)


def _read_groups(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in text.split("\n## ")[1:]:
        group, *lines = part.splitlines()
        if group in GROUPS:
            yield group, lines


def _read_limits(text: str) -> dict[str, str]:
    lines = text.partition(f"{_LIMITS}\n")[2].splitlines()
    pairs = (line.removeprefix("- ").partition("): ") for line in lines if line.startswith("- "))
    return {f"{name})": reason for name, _, reason in pairs}


def _split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
