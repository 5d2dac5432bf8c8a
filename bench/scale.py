"""The plan past this machine: `python -m bench.scale` measures a sync of the emulator and works out a large account.

`--write` keeps the figures in bench/scale.json and their tables in docs/scale.md; `--from-file` measures nothing.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measure import Measurement, measure
from bench.report import describe_machine, format_table
from bench.settings import ROOT

FILE = ROOT / "bench" / "scale.json"
DOC = ROOT / "docs" / "scale.md"
MARKS = ("<!-- plan -->\n", "<!-- end of plan -->")
# The emulator's accounts: one for all figures, a small one beside it for what grows with the number of threads.
THREADS, FEW_THREADS = 1_200, 300
# What is planned for.
ACCOUNT_THREADS, ACCOUNT_STEPS, CHANGED, SHARDS = 10_000_000, 500_000_000, 0.01, 256
RATES = (10, 100, 1_000)
COLD_AFTER_DAYS, COLD_SHARE, COLD_LONGEST_DAYS = 7.0, 0.1, 30.0
KEY = "emulator-key"
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Account:
    """What an account took. Bytes are of files; `again` is a second sync of the same account, unchanged."""

    threads: int
    runs: int
    steps: int
    requests: int
    requests_again: int
    raw_bytes: int
    raw_bytes_again: int
    flat_bytes: int
    warehouse_bytes: int
    lake_bytes: int
    shard_cpu_s: float
    again_cpu_s: float
    load_cpu_s: float
    shard_peak_mb: float
    again_peak_mb: float
    load_peak_mb: float


@dataclass(frozen=True)
class Figures:
    """Two accounts of one kind: what grows with their size is told from the difference."""

    few: Account
    many: Account
    machine: str

    def per_step(self, name: str) -> float:
        """What each further step adds."""
        return self._difference(name) / self._difference("steps")

    def per_thread(self, name: str) -> float:
        """What each further thread adds."""
        return self._difference(name) / self._difference("threads")

    def at(self, name: str, threads: float) -> float:
        """The value at so many threads, on the line through the two that were measured."""
        return float(getattr(self.few, name)) + self.per_thread(name) * (threads - self.few.threads)

    def _difference(self, name: str) -> float:
        return float(getattr(self.many, name)) - float(getattr(self.few, name))


def main() -> None:
    """Measure, print, and keep where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale")
    parser.add_argument("--write", action="store_true", help="keep the figures, and the tables in docs/scale.md")
    parser.add_argument("--from-file", action="store_true", help="take the figures of bench/scale.json")
    given = parser.parse_args()
    figures = read_figures() if given.from_file else measure_all()
    print(format_plan(figures))
    if given.write:
        FILE.write_text(json.dumps(asdict(figures), indent=2) + "\n")
        before, _, rest = DOC.read_text().partition(MARKS[0])
        DOC.write_text(before + MARKS[0] + format_plan(figures) + MARKS[1] + rest.partition(MARKS[1])[2])


def read_figures() -> Figures:
    """What was kept."""
    kept = json.loads(FILE.read_text())
    return Figures(Account(**kept["few"]), Account(**kept["many"]), kept["machine"])


def measure_all() -> Figures:
    """Every figure, from commands that a person could type."""
    few, many = (measure_account(threads) for threads in (FEW_THREADS, THREADS))
    return Figures(few, many, f"{datetime.now(UTC):%Y-%m-%d}, {describe_machine()}")


def measure_account(threads: int) -> Account:
    """An emulator with so many threads, synced twice by a shard, loaded and published."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = Path(name)
        with emulated(threads) as base_url:
            shard, counts = sync(folder, "shard", base_url)
            raw_bytes, flat_bytes = size_of(folder / "shard" / "raw"), size_of(folder / "shard" / "flat")
            again, counts_again = sync(folder, "shard", base_url)
        load = run(folder, ["load", "shard", "--data-dir", "all"])
        run(folder, ["publish", "delta", "lake", "--data-dir", "all"])
        return Account(
            threads=counts["threads"],
            runs=counts["runs_listed"],
            steps=counts["steps"],
            requests=counts["requests"],
            requests_again=counts_again["requests"],
            raw_bytes=raw_bytes,
            raw_bytes_again=size_of(folder / "shard" / "raw") - raw_bytes,
            flat_bytes=flat_bytes,
            warehouse_bytes=size_of(folder / "all" / "warehouse.duckdb"),
            lake_bytes=size_of(folder / "lake"),
            shard_cpu_s=round(shard.cpu_s, 2),
            again_cpu_s=round(again.cpu_s, 2),
            load_cpu_s=round(load.cpu_s, 2),
            shard_peak_mb=round(shard.peak_mb, 1),
            again_peak_mb=round(again.peak_mb, 1),
            load_peak_mb=round(load.peak_mb, 1),
        )


@contextmanager
def emulated(threads: int) -> Iterator[str]:
    """The base URL of an emulator with so many threads, all of whose runs have ended."""
    command = [sys.executable, "-m", "pipeline", "emulate", "--threads", str(threads), "--phase", "1"]
    with subprocess.Popen(
        [*command, "--until-stdin-ends"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.stdin.close()


def sync(folder: Path, data_dir: str, base_url: str) -> tuple[Measurement, dict[str, Any]]:
    """One shard that has everything: what it took, and its summary."""
    command = ["sync", "--all-threads", "--no-load", "--json", "--quiet", "--workers", "1", "--data-dir", data_dir]
    done = run(folder, [*command, "--base-url", base_url])
    return done, json.loads(done.last_line)


def run(folder: Path, arguments: list[str]) -> Measurement:
    """`python -m pipeline ARGUMENTS`, measured."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, "HOME": str(folder)}
    done = measure([sys.executable, "-m", "pipeline", *arguments], env=env, cwd=folder, timeout_s=TIMEOUT_S)
    if done.exit_code:
        raise SystemExit(f"{arguments[0]}: exit {done.exit_code}: {done.error}")
    return done


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*"))


def format_plan(figures: Figures) -> str:
    """The tables: what was measured, and what it comes to for the large account."""
    measured = format_table(["measured", "value"], measured_rows(figures))
    planned = format_table(["worked out", "value", "from"], planned_rows(figures))
    return (
        f"Measured with `python -m bench.scale`: accounts of the emulator with {figures.few.steps:,} and"
        f" {figures.many.steps:,} steps, what each further step or thread adds ({figures.machine}).\n\n{measured}\n\n"
        f"Worked out for {ACCOUNT_THREADS:,} threads and {ACCOUNT_STEPS:,} steps:\n\n{planned}\n"
    )


def measured_rows(f: Figures) -> list[list[str]]:
    """One line for each figure that the plan rests on."""
    sizes = f"{f.few.threads:,} and {f.many.threads:,} threads, MB"
    return [
        ["steps in a run", f"{f.many.steps / f.many.runs:.2f}"],
        ["requests for the steps of a run", f"{step_requests_per_run(f):.2f}"],
        ["requests for an unchanged thread", f"{f.per_thread('requests_again'):.2f}"],
        ["raw parts, bytes a step", f"{f.per_step('raw_bytes'):,.0f}"],
        ["flattened parts (removed by the load), bytes a step", f"{f.per_step('flat_bytes'):,.0f}"],
        ["warehouse, bytes a step", f"{f.per_step('warehouse_bytes'):,.0f}"],
        ["Delta lake, bytes a step", f"{f.per_step('lake_bytes'):,.0f}"],
        ["raw parts of an unchanged thread, bytes", f"{f.per_thread('raw_bytes_again'):,.0f}"],
        ["plan, fetch, land and flatten, processor ms a step", f"{1_000 * f.per_step('shard_cpu_s'):.2f}"],
        ["insert flattened parts, processor ms a step", f"{1_000 * f.per_step('load_cpu_s'):.2f}"],
        ["ask for an unchanged thread, processor ms", f"{1_000 * f.per_thread('again_cpu_s'):.2f}"],
        [f"peak memory of a first sync, {sizes}", pair(f, "shard_peak_mb")],
        [f"peak memory of a second, {sizes}", pair(f, "again_peak_mb")],
        [f"peak memory of the load, {sizes}", pair(f, "load_peak_mb")],
    ]


def planned_rows(f: Figures) -> list[list[str]]:
    """One line for each figure of the large account, with what it comes from."""
    runs = ACCOUNT_STEPS / f.many.steps * f.many.runs
    changed = ACCOUNT_THREADS * CHANGED
    new_requests = changed * step_requests_per_run(f)
    new_bytes = changed * f.many.steps / f.many.runs * f.per_step("raw_bytes")
    due = ACCOUNT_THREADS * due_share()
    shard_threads = ACCOUNT_THREADS / SHARDS
    return [
        ["runs", millions(runs), "steps in a run"],
        *requests_rows(
            "**first sync**", ACCOUNT_THREADS + runs * step_requests_per_run(f), "a list a thread, its runs"
        ),
        ["raw parts", size(ACCOUNT_STEPS * f.per_step("raw_bytes")), "bytes a step"],
        ["warehouse", size(ACCOUNT_STEPS * f.per_step("warehouse_bytes")), "bytes a step"],
        ["Delta lake", size(ACCOUNT_STEPS * f.per_step("lake_bytes")), "bytes a step"],
        ["plan, fetch, land, flatten: core hours", hours(ACCOUNT_STEPS * f.per_step("shard_cpu_s")), "ms a step"],
        ["insert: hours of the process that loads", hours(ACCOUNT_STEPS * f.per_step("load_cpu_s")), "ms a step"],
        [
            f"memory of each of {SHARDS} shards",
            f"{f.at('again_peak_mb', shard_threads):,.0f} MB",
            f"peak of a second sync, on the line to {shard_threads:,.0f} threads",
        ],
        *requests_rows("**a day**, 1 % changed", ACCOUNT_THREADS + new_requests, "a list a thread, one new run"),
        ["new raw parts", size(new_bytes + ACCOUNT_THREADS * f.per_thread("raw_bytes_again")), "steps, empty lists"],
        ["core hours", hours(ACCOUNT_THREADS * f.per_thread("again_cpu_s")), "ms a thread"],
        *requests_rows("**with `--since decay`**", due + new_requests, f"{due_share():.1%} of the threads are due"),
        ["new raw parts", size(new_bytes + due * f.per_thread("raw_bytes_again")), "steps, empty lists"],
        *requests_rows("**with ids from your logs**", changed + new_requests, "only what changed"),
    ]


def requests_rows(what: str, requests: float, origin: str) -> list[list[str]]:
    """A number of requests, and how long they take at common limits."""
    at_rates = " / ".join(f"{requests / rate / 3600:,.1f}" for rate in RATES)
    rates = " / ".join(f"{rate:,}" for rate in RATES)
    return [[f"{what}: requests", millions(requests), origin], [f"hours at {rates} requests/s", at_rates, "requests"]]


def step_requests_per_run(f: Figures) -> float:
    """Pages of steps that a run takes."""
    return (f.many.requests - f.many.threads) / f.many.runs


def due_share(days: float = 365.0) -> float:
    """The share of threads that the age rule asks for in a day, if their last changes are spread evenly over so long.

    A thread is asked for each day until a tenth of its age is a day, then once in that, and never less than monthly.
    """
    daily_until = max(COLD_AFTER_DAYS, 1 / COLD_SHARE)
    longest_from = COLD_LONGEST_DAYS / COLD_SHARE
    seldom = math.log(longest_from / daily_until) / COLD_SHARE
    return (daily_until + seldom + (days - longest_from) / COLD_LONGEST_DAYS) / days


def pair(f: Figures, name: str) -> str:
    return f"{getattr(f.few, name):,.0f}, {getattr(f.many, name):,.0f}"


def millions(number: float) -> str:
    return f"{number / 1e6:,.1f} million"


def hours(seconds: float) -> str:
    return f"{seconds / 3600:,.0f}"


def size(number: float) -> str:
    return f"{number / 1e9:,.1f} GB"


if __name__ == "__main__":
    main()
