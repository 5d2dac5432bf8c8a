"""The pictures in README.md: the first screen of the sample's report, by chromium, and of the sample in a terminal."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_SCREEN = "1400,1480"
_COLUMNS = 118


def draw_terminal(folder: Path) -> None:
    """What `sync --sample` prints in a checkout with its own Python, as a picture of a terminal."""
    printed = _run("sync", "--sample", folder=folder).replace(sys.executable, ".venv/bin/python")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere)
        console.print(Text("$ make demo\n" + printed.rstrip()))
        svg = console.export_svg(title="make demo", unique_id="demo")
    # Nothing is loaded from elsewhere: a font of the reader's own.
    start, end = svg.index("@font-face"), svg.index(".demo-matrix")
    text = svg[:start] + svg[end:].replace("Fira Code", "monospace")
    (PICTURES / "terminal.svg").write_text("".join(line.rstrip() + "\n" for line in text.splitlines()), "utf-8")


def draw_report(folder: Path) -> None:
    """The first screen of the report."""
    page = folder / "report.html"
    _run("report", "--out", str(page), folder=folder)
    picture = f"--screenshot={PICTURES / 'report.png'}"
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={_SCREEN}", picture]
    subprocess.run([_CHROMIUM, *options, page.as_uri()], check=True, stderr=subprocess.DEVNULL)


def _run(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "pipeline", *arguments]
    environ = {**os.environ, "COLUMNS": str(_COLUMNS), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    if not Path(_CHROMIUM).exists():
        sys.exit(f"there is no chromium at {_CHROMIUM}: apt-get install chromium, or set CHROMIUM to another")
    with tempfile.TemporaryDirectory() as folder:
        draw_terminal(Path(folder))
        draw_report(Path(folder))
