"""`import --executor ray` with one and two workers, beside `import` alone: the same archives, the same rows."""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench.corpus import Corpus, open_corpus
from bench.measure import Measurement
from bench.report import format_spread, format_table
from bench.rounds import run_measured
from bench.settings import Settings

FILES = 32
WAYS = {
    "import": [],
    "--executor ray --workers 1": ["--executor", "ray", "--workers", "1"],
    "--executor ray --workers 2": ["--executor", "ray", "--workers", "2"],
}
ONE_WORKER, TWO_WORKERS = list(WAYS)[1:]


def measure_imports(settings: Settings) -> tuple[str, list[dict[str, Any]]]:
    """A Markdown table and its figures. What an import of one run takes is start-up, and taken off.

    `--product-options='--ray-address HOST:PORT'` has a cluster that is there do it, instead of one for each import.
    """
    corpus = open_corpus(settings.size, settings.cache)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-ray-") as work:
        folder = Path(work)
        one = write_archives(folder / "one", corpus, files=1, pages=2)
        everything = write_archives(folder / "all", corpus, files=FILES)
        for number in range(settings.rounds):
            for way, options in WAYS.items():
                data_dir = folder / f"round {number}" / way
                start = import_into(data_dir / "start", one, options, settings)
                done = import_into(data_dir / "all", everything, options, settings)
                steps = json.loads(done.last_line)["steps"]
                if steps != corpus.truth["steps"]:
                    raise SystemExit(f"{way}: {steps:,} steps, not {corpus.truth['steps']:,}")
                work_s = done.wall_s - start.wall_s
                figures.append({"way": way, "wall_s": done.wall_s, "work_s": work_s, "steps_per_s": steps / work_s})
    return format_imports(figures), figures


def write_archives(folder: Path, corpus: Corpus, *, files: int, pages: int | None = None) -> Path:
    """The corpus' answers, one a line, in so many files; with `pages` only the first so many."""
    folder.mkdir()
    bodies = sorted(corpus.www.rglob("*.json"))[:pages]
    for number in range(files):
        with (folder / f"{number}.jsonl").open("wb") as lines:
            for path in bodies[number::files]:
                lines.write(path.read_bytes().strip() + b"\n")
    return folder


def import_into(data_dir: Path, archives: Path, options: list[str], settings: Settings) -> Measurement:
    command = [settings.product_python, "-m", "pipeline", "import", str(archives), "--quiet", "--json"]
    more = settings.product_options if options else ()
    done = run_measured([*command, *options, *more, "--data-dir", str(data_dir)], settings)
    if done.exit_code:
        raise SystemExit(f"exit {done.exit_code}: {done.error}")
    return done


def format_imports(figures: list[dict[str, Any]]) -> str:
    """One line for each way; the ratio is of medians, to one worker."""
    of = {way: [figure for figure in figures if figure["way"] == way] for way in WAYS}
    work = {way: statistics.median(figure["work_s"] for figure in own) for way, own in of.items()}
    rows = [
        [
            f"`{way}`",
            format_spread([figure["wall_s"] for figure in own], 1),
            format_spread([figure["work_s"] for figure in own], 1),
            format_spread([figure["steps_per_s"] for figure in own], 0),
            f"{work[ONE_WORKER] / work[way]:.2f}",
        ]
        for way, own in of.items()
    ]
    return format_table(["import", "wall s", "less start-up", "steps/s", "times one worker"], rows)
