"""Named queries, the report and the check over warehouses of several sizes: wall time, processor time, peak memory.

Beside them DuckDB alone: Python with its import and a sum over a plain table of costs, which nothing of ours can be
faster than, and its own command line with the SQL of each query.
"""

import json
import os
import random
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.corpus import Maker, Size, plan_run_counts, plan_step_counts
from bench.measure import Measurement, measure
from bench.report import format_table
from bench.rounds import ENVIRONMENT, say
from bench.settings import Settings
from pipeline.sqlfiles.catalog import read_sql_files

# Steps for each run and thread as in the corpus `large`.
_RUNS, _THREADS = 41 / 250, 41 / 2_500
_BARE = "DuckDB alone: "
_SHELL = "DuckDB's command line"
_SQL = {"select 1": "select 1", "sum of a table of costs": "select sum(cost_usd) from cost_ledger"}
_QUERIES = {
    "query select 1": "select 1",
    **{f"query {name}": name for name in ("top_tools", "slow_tools", "spend_by_model", "spend_by_tool")},
    "query tool_usage": "select * from tool_usage",
}
_VERBS = {
    **{name: ["query", asked] for name, asked in _QUERIES.items()},
    "report": ["report", "--out", "report.html"],
    "check": ["check"],
}
_PARAMETER = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class Build:
    """A program: what it is called and the Python that has it, or beside which it lies."""

    name: str
    python: str


def measure_queries(settings: Settings) -> tuple[str, list[dict[str, Any]]]:
    """A table with a line for each command and size, and its figures; builds take turns within each command."""
    builds = [Build("this", settings.product_python)]
    if settings.against and settings.before_python:
        builds.append(Build(settings.against, settings.before_python))
    shell = Build(_SHELL, settings.peers_python)
    figures = []
    for steps in settings.steps:
        archive = write_archive(steps, settings.cache)
        folders = {build: import_archive(archive, build, settings) for build in builds}
        for name, command in [(f"{_BARE}{name}", ["-c", sql]) for name, sql in _SQL.items()] + list(_VERBS.items()):
            having = [*builds, shell] if name in _QUERIES else builds
            taken: dict[Build, list[Measurement]] = {build: [] for build in having}
            for number in range(settings.rounds):
                for build in having[number % 2 :] + having[: number % 2]:
                    folder = folders[builds[0] if build is shell else build]
                    taken[build].append(run(name, command, build, folder, settings))
            figures += [figure_of(name, steps, build, runs) for build, runs in taken.items()]
            say(f"{steps:,} steps, {name}: {figures[-len(having)]['wall_s']:.2f} s")
    return format_queries(figures, [*builds, shell]), figures


def write_archive(steps: int, cache: Path) -> Path:
    """So many steps as lists of answers, one a line; made where the cache does not hold it."""
    path = cache / f"queries-{steps}.jsonl"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    size = Size(threads=max(2, int(steps * _THREADS)), runs=int(steps * _RUNS), steps=steps, text_scale=0.3)
    rng = random.Random(7)
    maker = Maker(rng, size.text_scale)
    counts = iter(plan_step_counts(size, rng))
    partial = path.with_suffix(".partial")
    with partial.open("w") as lines:
        for run_count in plan_run_counts(size, rng):
            thread_id = maker.make_id("thread")
            made = [maker.make_run(thread_id, next(counts)) for _ in range(run_count)]
            for records in ([run for run, _ in made], *(of_run for _, of_run in made)):
                if records:
                    lines.write(json.dumps({"object": "list", "data": records, "has_more": False}) + "\n")
    return partial.rename(path)


def import_archive(archive: Path, build: Build, settings: Settings) -> Path:
    """A data folder that a build has made of an archive; kept beside it, for this very build."""
    stamp = subprocess.run(
        [build.python, "-c", "from pipeline.sqlfiles.schema import SCHEMA_VERSION as v; print(v)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=settings.root_of(build.python),
    ).stdout.strip()
    folder = settings.cache / f"{archive.stem}-schema-{stamp}"
    if not (folder / "warehouse.duckdb").exists():
        say(f"importing {archive.name}")
        command = [build.python, "-m", "pipeline", "import", str(archive), "--data-dir", str(folder)]
        # Larger than a load takes by itself: the data is not what is measured.
        environ = os.environ | ENVIRONMENT | {"PIPELINE_LOAD_MEMORY": "4GB"}
        subprocess.run(command, check=True, capture_output=True, env=environ, cwd=settings.root_of(build.python))
    return folder


def run(name: str, command: list[str], build: Build, folder: Path, settings: Settings) -> Measurement:
    """One execution, in a folder of its own; it must succeed, or find what a check is for."""
    if name.startswith(_BARE):
        script = (
            "import duckdb; connection = duckdb.connect({path!r}, read_only=True);"
            " print(connection.execute({sql!r}).fetchall())"
        ).format(path=str(folder / "warehouse.duckdb"), sql=command[1])
        whole = [build.python, "-c", script]
    elif build.name == _SHELL:
        whole = [str(Path(build.python).with_name("duckdb")), "-readonly", str(folder / "warehouse.duckdb")]
        whole += ["-c", sql_of(_QUERIES[name])]
    else:
        whole = [build.python, "-m", "pipeline", *command, "--data-dir", str(folder)]
    with tempfile.TemporaryDirectory(prefix="bench-queries-") as out:
        whole = [part.replace("report.html", f"{out}/report.html") for part in whole]
        environ = os.environ | ENVIRONMENT
        taken = measure(whole, env=environ, cwd=settings.root_of(build.python), timeout_s=settings.timeout_s)
    if taken.exit_code not in (0, 5):
        raise SystemExit(f"{build.name}, {name}: exit {taken.exit_code}: {taken.error}")
    return taken


def sql_of(asked: str) -> str:
    """The SQL of a query with its parameters' usual values in their places: DuckDB's command line binds none."""
    named = read_sql_files("queries").get(asked)
    return _PARAMETER.sub(lambda match: f"'{named.params[match[1]]}'", named.text) if named else asked


def figure_of(name: str, steps: int, build: Build, runs: list[Measurement]) -> dict[str, Any]:
    """Medians of the rounds."""
    return {
        "what": name,
        "steps": steps,
        "build": build.name,
        "wall_s": median(run.wall_s for run in runs),
        "cpu_s": median(run.cpu_s for run in runs),
        "peak_mb": median(run.peak_mb for run in runs),
    }


def format_queries(figures: list[dict[str, Any]], builds: list[Build]) -> str:
    """A line for each command and size: this build, then each other with how many times as long it took."""
    headers = ["what", "steps", "wall s", "cpu s", "peak MB"]
    for build in builds[1:]:
        headers += [f"{build.name}: wall s", "cpu s", "peak MB", "wall times", "cpu times"]
    rows = []
    for own in (figure for figure in figures if figure["build"] == builds[0].name):
        row = [own["what"], f"{own['steps']:,}", *_cells(own)]
        for build in builds[1:]:
            same = (build.name, own["what"], own["steps"])
            others = [f for f in figures if (f["build"], f["what"], f["steps"]) == same]
            row += [cell for other in others for cell in (*_cells(other), *_times(other, own))] or ["-"] * 5
        rows.append(row)
    return format_table(headers, rows)


def _times(other: dict[str, Any], own: dict[str, Any]) -> list[str]:
    return [f"{other[name] / own[name]:.2f}" for name in ("wall_s", "cpu_s")]


def _cells(figure: dict[str, Any]) -> list[str]:
    return [f"{figure['wall_s']:.2f}", f"{figure['cpu_s']:.2f}", f"{figure['peak_mb']:.0f}"]
