"""The large account as a section of the document."""

from collections.abc import Callable
from datetime import UTC, datetime

from bench.report import describe_machine
from tests.faults.load import LEAST_PACE, MOST_GROWTH, MOST_MB, Load, Size, Sync

_HEAD = """## Load

Written by `make load-test`. The emulator, a process of its own, serves an account twice: at first every tenth run is
still at work, with half of its steps; then these have finished. Each time a sync in its default settings has to bring
exactly the generator's totals with exactly the requests that are needed: the first time a page of each thread's runs
and every page of steps, the second time one request for each thread and the steps of the runs that have changed.
Memory is the highest sum of the resident memory of all processes of the sync; both accounts use the same number of
processes. Throughput is that of the sync with the emulator on the same machine, in each tenth of its requests.
"""
_BOUNDS = f"""Must hold, or `make load-test` fails: every total and number of requests; at most {MOST_MB} MB in any
sync; ten times the account takes at most {MOST_GROWTH} times the memory; the last tenth of the requests of the first
sync comes at least at {LEAST_PACE:.0%} of the median tenth's pace."""


def render_load(load: Load) -> str:
    """Markdown: figures of both accounts, throughput of the larger one, what was wrong."""
    larger = load.large.first.measurement.peak_mb / load.small.first.measurement.peak_mb
    lines = [
        _HEAD,
        "| | " + " | ".join(f"{size.threads:,} threads" for size in (load.small, load.large)) + " |",
        "|---|---|---|",
        _row("runs", load, lambda size: f"{size.runs:,}"),
        _row("steps", load, lambda size: f"{size.steps:,}"),
        _row("first sync: requests needed / made", load, lambda size: _requests(size.first)),
        _row("first sync: seconds", load, lambda size: f"{size.first.measurement.wall_s:,.1f}"),
        _row("first sync: peak memory, MB", load, lambda size: f"{size.first.measurement.peak_mb:,.0f}"),
        _row("runs that changed", load, lambda size: f"{size.changed_runs:,}"),
        _row("second sync: requests needed / made", load, lambda size: _requests(size.second)),
        _row("second sync: seconds", load, lambda size: f"{size.second.measurement.wall_s:,.1f}"),
        _row("second sync: peak memory, MB", load, lambda size: f"{size.second.measurement.peak_mb:,.0f}"),
        "",
        f"Ten times the account takes {larger:.2f} times the memory. Requests a second in each tenth of the first sync"
        f" of {load.large.threads:,} threads: {', '.join(f'{rate:,.0f}' for rate in load.large.first.tenths)}.",
        "",
        _BOUNDS,
        "",
        f"Totals, requests, memory, throughput: {'; '.join(load.problems) or 'all right'}.",
        "",
        f"({datetime.now(UTC):%Y-%m-%d}, {describe_machine()}.)",
    ]
    return "\n".join([*lines, ""])


def _row(name: str, load: Load, value: Callable[[Size], str]) -> str:
    return f"| {name} | {value(load.small)} | {value(load.large)} |"


def _requests(sync: Sync) -> str:
    return f"{sync.needed:,} / {sync.requests:,}"
