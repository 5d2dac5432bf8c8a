"""The parts of README.md and of docs/ that commands produce; `python -m tests.readme_examples` writes them anew."""

import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.sqlfiles.catalog import SqlFile, read_sql_files, views_in_order
from tests.syncs import environ_for, run_cli

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
# Pages for users; each has an example.
PAGES = tuple(
    ROOT / "docs" / f"{name}.md"
    for name in ("archives", "money", "operations", "privacy", "proof", "reports", "servers", "sql")
)
TABLES = ROOT / "docs" / "tables.md"
_SQL = re.compile(r"(```sql\n(?P<asked>.*?)```\n```text\n)(?P<output>.*?)(```)", re.DOTALL)
_SHELL = re.compile(r"(```sh\n(?P<asked>.*?)```\n```text\n)(?P<output>.*?)(```)", re.DOTALL)
_PROFILES = re.compile(r"<!-- profiles -->\n```toml\n(?P<profiles>.*?)```", re.DOTALL)
_TABLES = re.compile(r"(<!-- tables -->\n)(?P<output>.*?)(<!-- /tables -->)", re.DOTALL)
_PROGRAM = ["python", "-m", "pipeline"]
_SECONDS = re.compile(r"\d+\.\d s\b")
_VARIABLES = {"PORTKEY_API_KEY": "a-key", "PORTKEY_VIRTUAL_KEY": "another"}


def make_place(folder: Path) -> Path:
    """Where examples run: the sample in `data`, single answers of servers in `dumps`."""
    run_cli(ROOT, "sync", "--sample", "--quiet", "--data-dir", str(folder / "data")).check_returncode()
    shutil.copytree(ROOT / "tests" / "pages", folder / "dumps")
    return folder


def count_examples(text: str) -> int:
    """How many parts of a page are what a command prints."""
    return len(_SQL.findall(text)) + len(_SHELL.findall(text))


def render(text: str, place: Path) -> str:
    """The page with the outputs that its commands have now."""
    if profiles := _PROFILES.search(text):
        (place / "pipeline.toml").write_text(profiles["profiles"], "utf-8")
        (place / "pipeline.toml").chmod(0o600)
    text = _SQL.sub(_with(lambda asked: _run(["query", asked], place)), text)
    text = _SHELL.sub(_with(lambda asked: "".join(_run_line(line, place) for line in asked.splitlines())), text)
    return _TABLES.sub(lambda match: match[1] + "\n" + _table_list() + "\n" + match[3], text)


def _with(answer: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
    return lambda match: match[1] + answer(match["asked"]) + match[4]


def _run_line(line: str, place: Path) -> str:
    """One line of a shell: variables, the program, its arguments."""
    words = shlex.split(line)
    start = next(number for number, word in enumerate(words) if "=" not in word)
    if words[start : start + 3] != _PROGRAM:
        raise ValueError(f"not a line of ours: {line}")
    given = dict(word.split("=", 1) for word in words[:start])
    return _run(words[start + 3 :], place, **given)


def _run(arguments: list[str], place: Path, **variables: str) -> str:
    environ = environ_for() | {"PYTHONPATH": str(ROOT)} | _VARIABLES | variables
    ended = run_cli(place, *arguments, environ=environ)
    if ended.returncode not in (0, 4):
        raise ValueError(f"{arguments} ended with {ended.returncode}: {ended.stderr}")
    text = "".join(line.rstrip() + "\n" for line in ended.stdout.strip("\n").splitlines())
    return _SECONDS.sub("0.1 s", text.replace(f"{place}/", "").replace(sys.executable, _PROGRAM[0]))


def _table_list() -> str:
    tables = [_row(file) for file in read_sql_files("tables").values()]
    views = [_row(file) for file in sorted(views_in_order(), key=lambda view: view.name)]
    head = "| {} | one row for each | what |\n|---|---|---|\n"
    return head.format("table") + "".join(tables) + "\n" + head.format("view") + "".join(views)


def _row(file: SqlFile) -> str:
    return f"| `{file.name}` | {', '.join(file.grain)} | {file.summary.rstrip('.')} |\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        made = make_place(Path(scratch))
        for page in (README, *PAGES, TABLES):
            page.write_text(render(page.read_text("utf-8"), made), "utf-8")
