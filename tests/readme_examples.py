"""The parts of README.md that commands produce; `python -m tests.readme_examples` writes them anew."""

import re
import sys
import tempfile
from pathlib import Path

from pipeline.sqlfiles.catalog import SqlFile, read_sql_files, views_in_order
from tests.syncs import run_cli

README = Path(__file__).parents[1] / "README.md"
_EXAMPLE = re.compile(r"(```sql\n(?P<sql>.*?)```\n```text\n)(?P<output>.*?)(```)", re.DOTALL)
_DEMO = re.compile(r"(<!-- demo -->\n```text\n)(?P<output>.*?)(```)", re.DOTALL)
_TABLES = re.compile(r"(<!-- tables -->\n)(?P<output>.*?)(\nA run.s id is unique)", re.DOTALL)


def render(text: str, folder: Path) -> str:
    """The README's text with the outputs that its commands have now; `folder` is for the sample's data."""
    demo = _run("sync", "--sample", folder=folder)
    # `make demo` starts the Python of .venv.
    demo = demo.replace(sys.executable, ".venv/bin/python")
    text = _DEMO.sub(lambda match: match[1] + demo + match[3], text)
    text = _EXAMPLE.sub(lambda match: match[1] + _run("query", match["sql"], folder=folder) + match[4], text)
    return _TABLES.sub(lambda match: match[1] + "\n" + _table_list() + match[3], text)


def _run(*arguments: str, folder: Path) -> str:
    ended = run_cli(folder, *arguments)
    ended.check_returncode()
    return "".join(line.rstrip() + "\n" for line in ended.stdout.strip("\n").splitlines())


def _table_list() -> str:
    tables = [_row(file) for file in read_sql_files("tables").values()]
    views = [_row(file) for file in sorted(views_in_order(), key=lambda view: view.name)]
    head = "| {} | one row for each | what |\n|---|---|---|\n"
    return head.format("table") + "".join(tables) + "\n" + head.format("view") + "".join(views)


def _row(file: SqlFile) -> str:
    return f"| `{file.name}` | {', '.join(file.grain)} | {file.summary.rstrip('.')} |\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        README.write_text(render(README.read_text("utf-8"), Path(scratch)), "utf-8")
