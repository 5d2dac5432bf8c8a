"""`import` of one archive of JSON lines, on one core and on all, beside DuckDB's `read_json` and Polars' `read_ndjson`.

Each in its turn, round by round, on the same file; what each has in its tables is compared with the truth.
"""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench.corpus import PAGE_LIMIT, Corpus, open_corpus
from bench.report import format_spread, format_table
from bench.rounds import Round, judge, run_measured, say
from bench.settings import BEFORE, Settings

ONE_CORE = ["taskset", "--cpu-list", "0"]
# Each way: what goes before its command, and its case; `before` is the commit of `--against`.
WAYS = {
    "`import`, all cores": ([], "import_product"),
    "`import`, one core": (ONE_CORE, "import_product"),
    "`import` before, all cores": ([], BEFORE),
    "`import` before, one core": (ONE_CORE, BEFORE),
    "DuckDB `read_json`, all cores": ([], "import_duckdb"),
    "DuckDB `read_json`, one core": (ONE_CORE, "import_duckdb"),
    "Polars `read_ndjson`, all cores": ([], "import_polars"),
}


def measure_archive(settings: Settings) -> tuple[str, list[dict[str, Any]]]:
    """The table and its figures."""
    corpus = open_corpus(settings.size, settings.cache)
    ways = {way: how for way, how in WAYS.items() if how[1] != BEFORE or BEFORE in settings.builds}
    rounds: dict[str, list[Round]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="bench-import-") as folder:
        archive = write_archive(corpus, Path(folder) / "objects.jsonl")
        for _ in range(settings.rounds):
            for way, (prefix, case) in ways.items():
                with tempfile.TemporaryDirectory(prefix="bench-import-", dir=folder) as out:
                    module = "import_product" if case == BEFORE else case
                    command = [*prefix, settings.python_of(case), "-m", f"bench.cases.{module}", str(archive), out]
                    measurement = run_measured(command, settings)
                rounds[way].append(Round(way, measurement, [], judge(measurement, corpus.truth)))
                say(f"{way}: {measurement.wall_s:.2f} s, {rounds[way][-1].verdict}")
    return format_rounds(rounds), [round_.figures for of_way in rounds.values() for round_ in of_way]


def write_archive(corpus: Corpus, path: Path) -> Path:
    """All objects of a corpus, one a line: runs of a thread, then their steps, as the answers have them."""
    with path.open("w") as lines:
        for request in corpus.paths_file.read_text().split():
            page, _, cursor = request.replace(f"limit={PAGE_LIMIT}&order=asc", "").partition("?")
            after = cursor.removeprefix("&after=")
            file = corpus.www / (page.lstrip("/") + (f".after-{after}.json" if after else ".json"))
            for item in json.loads(file.read_bytes())["data"]:
                lines.write(json.dumps(item, separators=(",", ":")) + "\n")
    return path


def format_rounds(rounds: dict[str, list[Round]]) -> str:
    """A line for each way; one that was wrong once has no time."""
    first = statistics.median(round_.measurement.wall_s for round_ in next(iter(rounds.values())))
    rows = []
    for way, of_way in rounds.items():
        bad = [round_.verdict for round_ in of_way if round_.verdict != "ok"]
        walls = [round_.measurement.wall_s for round_ in of_way]
        figures = [
            format_spread(walls),
            f"{statistics.median(walls) / first:.2f}",
            format_spread([round_.measurement.cpu_s for round_ in of_way], 1),
            format_spread([round_.measurement.peak_mb for round_ in of_way], 0),
        ]
        rows.append([way, bad[0], "-", "-", "-"] if bad else [way, *figures])
    return format_table(["one archive", "wall s", "times the first", "cpu s", "peak MB"], rows)
