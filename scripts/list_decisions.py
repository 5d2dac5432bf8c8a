"""The index of the decisions: docs/decisions/README.md, from the title, the day and the state in each file."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "decisions"
INDEX = FOLDER / "README.md"
# The title, then the day and whether the decision stands.
_STATE = r"Stands|Superseded (?:in part )?by \[\d{4}\]\([^)]+\)"
_HEAD = re.compile(rf"# (\d{{4}})\. (.+)\n\n(\d{{4}}-\d\d-\d\d)\. ({_STATE})\.\n")
_TOP = """\
# Decisions

Why it is built this way: one decision in each file, with its reasons and with what was rejected. Newest last.

To add one, take the next number and write the file like its neighbours. One that replaces another names it at its end,
and the other says so in its second line. Then `make decisions` writes this list.

| number | decision | day | state |
|---|---|---|---|
"""


def main() -> None:
    """Write the index."""
    INDEX.write_text(render(), "utf-8")


def list_files() -> list[Path]:
    """The files of all decisions, in order."""
    return sorted(path for path in FOLDER.glob("*.md") if path != INDEX)


def render() -> str:
    """The index. Raises ValueError naming a file that does not begin as the others do."""
    return _TOP + "".join(map(_row, list_files()))


def _row(path: Path) -> str:
    number, title, day, state = read_head(path)
    return f"| [{number}]({path.name}) | {title} | {day} | {state[0].lower()}{state[1:]} |\n"


def read_head(path: Path) -> tuple[str, str, str, str]:
    """Number, title, day and state of a decision."""
    if not (head := _HEAD.match(path.read_text("utf-8"))):
        raise ValueError(f"{path.name} does not begin with '# NNNN. Title', a day and whether it stands")
    number, title, day, state = head.groups()
    return number, title, day, state


if __name__ == "__main__":
    main()
