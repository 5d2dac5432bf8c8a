"""What each further thread, run, step and MiB costs a sync: an account, and four that have more of one of them."""

import statistics
from typing import Any

from bench.corpus import open_corpus
from bench.report import format_table
from bench.rounds import Round, run_case
from bench.server import Behaviour, serve
from bench.settings import Settings

BASE = "base"
# What each corpus has more of, and the key of that in its truth file.
MORE = {"more-threads": "threads", "more-runs": "runs", "more-steps": "steps", "more-text": "bytes"}
_MIB = 2**20


def measure_growth(settings: Settings) -> tuple[str, list[dict[str, Any]]]:
    """A table of the product's wall and processor time for one more of each, and its figures.

    A further step is one with as much text as the others; a further MiB is text alone. Medians of all rounds.
    """
    rounds: dict[str, list[Round]] = {size: [] for size in (BASE, *MORE)}
    for _ in range(settings.rounds):
        for size in rounds:
            corpus = open_corpus(size, settings.cache)
            with serve(corpus.www, Behaviour(settings.latency_ms)) as server:
                rounds[size].append(run_case("product", settings, corpus, server))
    truths = {size: open_corpus(size, settings.cache).truth for size in rounds}
    rows = [format_growth(size, rounds, truths) for size in rounds]
    headers = [
        "account",
        "threads",
        "runs",
        "steps",
        "MiB",
        "requests",
        "wall s",
        "cpu s",
        "peak MB",
        "each further one",
    ]
    figures = [round_.figures | {"size": size} for size, own in rounds.items() for round_ in own]
    return format_table(headers, rows), figures


def format_growth(size: str, rounds: dict[str, list[Round]], truths: dict[str, dict[str, Any]]) -> list[str]:
    """The line of one account; a corpus that was read wrongly once has no figures."""
    bad = [round_.verdict for round_ in rounds[size] if round_.verdict != "ok"]
    if bad:
        return [size, bad[0], *["-"] * 8]
    truth = truths[size]
    return [
        size,
        *(f"{truth[name]:,}" for name in ("threads", "runs", "steps")),
        f"{truth['bytes'] / _MIB:,.0f}",
        f"{truth['requests']:,}",
        *(f"{median_of(rounds[size], name):.1f}" for name in ("wall_s", "cpu_s")),
        f"{median_of(rounds[size], 'peak_mb'):,.0f}",
        marginal(size, rounds, truths) if size in MORE else "",
    ]


def marginal(size: str, rounds: dict[str, list[Round]], truths: dict[str, dict[str, Any]]) -> str:
    """Processor time that one more of what this account has more of adds to the base."""
    what = MORE[size]
    unit, name = (_MIB, "MiB of text") if what == "bytes" else (1, what.removesuffix("s"))
    more = (truths[size][what] - truths[BASE][what]) / unit
    cpu_s = median_of(rounds[size], "cpu_s") - median_of(rounds[BASE], "cpu_s")
    return f"{1_000 * cpu_s / more:.2f} ms a {name}"


def median_of(rounds: list[Round], name: str) -> float:
    return float(statistics.median(getattr(round_.measurement, name) for round_ in rounds))
