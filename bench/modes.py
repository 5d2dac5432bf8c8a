"""The measurements, one function each: settings in, a Markdown table and its figures out."""

import json
import statistics
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.corpus import open_corpus, write_subset
from bench.growth import measure_growth
from bench.imports import measure_archive
from bench.measure import Measurement
from bench.queries import measure_queries
from bench.ray_import import measure_imports
from bench.report import format_spread, format_table
from bench.rounds import Round, run_case, run_measured
from bench.server import Behaviour, Request, count_by_status, serve
from bench.settings import Settings
from bench.successors import measure_successors

MEMORY_SIZES = ("tenth", "large")
STARTUP_ROUNDS = 10
PACING_LATENCY_MS = 50
FLOOR = "curl_floor"


@dataclass(frozen=True)
class Result:
    """A table to read and the same figures for a machine."""

    table: str
    figures: list[dict[str, Any]]


def compare(settings: Settings) -> Result:
    """Every case from nothing to verified rows, alternating."""
    corpus = open_corpus(settings.size, settings.cache)
    rounds: list[Round] = []
    with serve(corpus.www, Behaviour(settings.latency_ms)) as server:
        for number in range(settings.rounds):
            shift = number % len(settings.cases)  # nobody is always first
            order = settings.cases[shift:] + settings.cases[:shift]
            rounds += [run_case(case, settings, corpus, server) for case in order]
    return Result(format_comparison(rounds, settings, corpus.truth), [round_.figures for round_ in rounds])


def format_comparison(rounds: list[Round], settings: Settings, truth: dict[str, Any]) -> str:
    """One line per case; a case that was wrong once has no time."""
    product = [round_.measurement.wall_s for round_ in rounds if round_.case == "product"]
    product_ok = all(round_.verdict == "ok" for round_ in rounds if round_.case == "product")
    product_s = statistics.median(product) if product and product_ok else None
    rows = []
    for case in settings.cases:
        own = [round_ for round_ in rounds if round_.case == case]
        bad = [round_.verdict for round_ in own if round_.verdict != "ok"]
        rows.append([case, bad[0], *["-"] * 6] if bad else format_case(case, own, product_s, truth))
    return format_table(
        ["case", "wall s", "times the product", "steps/s", "cpu s", "peak MB", "requests", "requests/s"], rows
    )


def format_case(case: str, rounds: list[Round], product_s: float | None, truth: dict[str, Any]) -> list[str]:
    """The line of a case whose rounds were all right."""
    walls = [round_.measurement.wall_s for round_ in rounds]
    wall_s = statistics.median(walls)
    requests = len(rounds[-1].requests)
    return [
        case,
        format_spread(walls),
        f"{wall_s / product_s:.2f}" if product_s else "-",
        f"{truth['steps'] / wall_s:,.0f}",
        format_spread([round_.measurement.cpu_s for round_ in rounds], 1),
        format_spread([round_.measurement.peak_mb for round_ in rounds], 0),
        f"{requests:,}",
        f"{requests / wall_s:,.0f}",
    ]


def second(settings: Settings) -> Result:
    """Sync again when nothing has changed; curl asks for the very same URLs."""
    corpus = open_corpus(settings.size, settings.cache)
    behaviour = Behaviour(settings.latency_ms)
    with serve(corpus.www, behaviour) as server, tempfile.TemporaryDirectory(prefix="bench-second-") as work:
        out, one, urls, url = (make_directory(Path(work) / name) for name in ("data", "one", "urls", "url"))
        require_ok(run_case("product", settings, corpus, server, out))
        subset = write_subset(one, corpus.thread_ids[:1], [], corpus.truth)
        sync_one = [run_case("product", settings, subset, server, out) for _ in range(settings.rounds)]
        sync_all = [run_case("product", settings, corpus, server, out) for _ in range(settings.rounds)]
        paths = [request.path for request in sync_all[-1].requests]
        first = write_subset(url, [], paths[:1], {"requests": 1})
        same = write_subset(urls, [], paths, {"requests": len(paths)})
        curl_one = [run_case(FLOOR, settings, first, server) for _ in range(settings.rounds)]
        curl_all = [run_case(FLOOR, settings, same, server) for _ in range(settings.rounds)]
    return summarize_second((sync_one, sync_all), (curl_one, curl_all), len(corpus.thread_ids))


Pair = tuple[list[Round], list[Round]]


def summarize_second(sync: Pair, curl: Pair, threads: int) -> Result:
    """Requests and time per thread; a sync (a curl) of one thread is what starting up costs."""
    again = sync[1]
    sync_ms, curl_ms = marginal_ms(sync, threads), marginal_ms(curl, threads)
    requests = [len(round_.requests) for round_ in again]
    verdict = next((round_.verdict for round_ in [*again, *curl[1]] if round_.verdict != "ok"), "ok")
    rows = [
        ["requests per thread (goal: exactly 1)", " ".join(f"{count / threads:.4f}" for count in requests)],
        ["sync of all threads, wall s", format_walls(again)],
        ["sync of one thread, wall s", format_walls(sync[0])],
        ["curl with the same URLs, wall s", format_walls(curl[1])],
        ["curl with one of them, wall s", format_walls(curl[0])],
        ["sync, ms per further thread", f"{sync_ms:.3f}"],
        ["curl, ms per further thread", f"{curl_ms:.3f}"],
        ["sync / curl per further thread (goal: 1.2)", f"{sync_ms / curl_ms:.2f}" if curl_ms > 0 else "-"],
        ["verdict", verdict],
    ]
    figures = [round_.figures for pair in (sync, curl) for rounds in pair for round_ in rounds]
    summary = {"threads": threads, "sync_ms": sync_ms, "curl_ms": curl_ms, "verdict": verdict}
    return Result(format_table(["unchanged", "value"], rows), [summary, *figures])


def marginal_ms(pair: Pair, threads: int) -> float:
    """What each further thread adds."""
    return (median_wall_s(pair[1]) - median_wall_s(pair[0])) / max(1, threads - 1) * 1_000


def format_walls(rounds: list[Round]) -> str:
    return format_spread([round_.measurement.wall_s for round_ in rounds], 3)


def memory(settings: Settings) -> Result:
    """Peak memory at 25,000 and at 250,000 steps of the same kind."""
    rows, figures = [], []
    for case in settings.cases:
        peaks = []
        for size in MEMORY_SIZES:
            corpus = open_corpus(size, settings.cache)
            with serve(corpus.www, Behaviour(settings.latency_ms)) as server:
                rounds = [run_case(case, settings, corpus, server) for _ in range(settings.rounds)]
            figures += [round_.figures | {"size": size} for round_ in rounds]
            peaks.append(statistics.median(round_.measurement.peak_mb for round_ in rounds))
        own = [figure["verdict"] for figure in figures if figure["case"] == case]
        bad = next((verdict for verdict in own if verdict != "ok"), "ok")
        rows.append([case, *(f"{peak:,.0f}" for peak in peaks), f"{peaks[1] / peaks[0]:.2f}", bad])
    headers = ["case", *(f"peak MB at {size}" for size in MEMORY_SIZES), "times", "verdict"]
    return Result(format_table(headers, rows), figures)


def rebuild(settings: Settings) -> Result:
    """`load --rebuild` from raw pages: steps/s on one core and on all."""
    corpus = open_corpus(settings.size, settings.cache)
    cores = {"one core": ["taskset", "--cpu-list", "0"], "all cores": []}
    taken: dict[tuple[str, str], list[Measurement]] = {(on, build): [] for on in cores for build in settings.builds}
    with serve(corpus.www, Behaviour()) as server, tempfile.TemporaryDirectory(prefix="bench-rebuild-") as work:
        out = {build: make_directory(Path(work) / build) for build in settings.builds}
        for build in out:
            require_ok(run_case(build, settings, corpus, server, out[build]))
        for _ in range(settings.rounds):
            for on, build in taken:
                load = [settings.python_of(build), "-m", "pipeline", "load", "--rebuild", "--data-dir", str(out[build])]
                taken[on, build].append(run_measured([*cores[on], *load], settings))
                require_success(taken[on, build])
    rows, figures = [], []
    for (on, build), runs in taken.items():
        rates = [corpus.truth["steps"] / run.wall_s for run in runs]
        walls, processors = [run.wall_s for run in runs], [run.cpu_s for run in runs]
        rows.append([f"{build}, {on}", format_spread(walls), format_spread(rates, 0), format_spread(processors)])
        figures.append({"build": build, "cores": on, "wall_s": walls, "cpu_s": processors, "steps_per_s": rates})
    return Result(format_table(["load --rebuild", "wall s", "steps/s (goal: 40,000)", "cpu s"], rows), figures)


def stages(settings: Settings) -> Result:
    """Processor time of the stages of `load --rebuild` on one core, and of what the libraries do in it."""
    corpus = open_corpus(settings.size, settings.cache)
    command = ["taskset", "--cpu-list", "0", settings.product_python, "-m", "bench.stages"]
    with serve(corpus.www, Behaviour()) as server, tempfile.TemporaryDirectory(prefix="bench-stages-") as out:
        require_ok(run_case("product", settings, corpus, server, Path(out)))
        runs = [run_measured([*command, out], settings) for _ in range(settings.rounds)]
        require_success(runs)
    figures = [json.loads(run.last_line) for run in runs]
    rows = []
    for kind, total in (("stages", "all"), ("libraries", "libraries alone")):
        taken = [figure[kind] for figure in figures]
        rows += [[stage, format_spread([figure[stage] for figure in taken], 2)] for stage in taken[0]]
        rows.append([total, format_spread([sum(figure.values()) for figure in taken], 2)])
    said = f"{corpus.truth['steps']:,} steps, cpu s"
    return Result(format_table(["stage", said], rows), figures)


def startup(settings: Settings) -> Result:
    """`python -m pipeline --help`, beside a Python that does nothing."""
    commands = {
        "python -m pipeline --help": [settings.product_python, "-m", "pipeline", "--help"],
        "python -c pass": [settings.product_python, "-c", "pass"],
    }
    rows, figures = [], []
    for name, command in commands.items():
        runs = [run_measured(command, settings) for _ in range(STARTUP_ROUNDS)]
        require_success(runs)
        walls = [run.wall_s for run in runs]
        rows.append([name, format_spread(walls, 3)])
        figures.append({"command": name, "wall_s": walls})
    return Result(format_table(["start-up", "wall s (goal: 0.3)"], rows), figures)


def pacing(settings: Settings) -> Result:
    """A server that allows so many requests/s: how much of that is used, and what share is refused."""
    corpus = open_corpus(settings.size, settings.cache)
    behaviour = Behaviour(settings.latency_ms or PACING_LATENCY_MS, requests_per_s=settings.rate)
    figures = []
    with serve(corpus.www, behaviour) as server:
        for case in settings.cases:
            for _ in range(settings.rounds):
                round_ = run_case(case, settings, corpus, server)
                figures.append(round_.figures | measure_pacing(round_.requests, settings.rate))
    rows = [
        [f["case"], f"{f['share_used']:.1%}", f"{f['share_429']:.2%}", f"{f['span_s']:.1f}", f["verdict"]]
        for f in figures
    ]
    headers = [f"at {settings.rate} requests/s", "used (goal: 90 %)", "429 (goal: 2 %)", "span s", "verdict"]
    return Result(format_table(headers, rows), figures)


def measure_pacing(requests: list[Request], rate: int) -> dict[str, Any]:
    """Answers by status over the time from the first to the last; the bucket's burst can lift the use over 1."""
    statuses: Counter[int] = count_by_status(requests)
    span_s = max(r.at for r in requests) - min(r.at for r in requests) if requests else 0.0
    return {
        "statuses": dict(statuses),
        "span_s": span_s,
        "share_used": statuses[200] / (rate * span_s) if span_s else 0.0,
        "share_429": statuses[429] / max(1, len(requests)),
    }


def median_wall_s(rounds: list[Round]) -> float:
    return statistics.median(round_.measurement.wall_s for round_ in rounds)


def make_directory(directory: Path) -> Path:
    directory.mkdir()
    return directory


def require_ok(round_: Round) -> None:
    """Stop where what is to be measured rests on this round."""
    if round_.verdict != "ok":
        raise SystemExit(f"{round_.case}: {round_.verdict}")


def require_success(runs: list[Measurement]) -> None:
    """Stop where a command did not work at all."""
    for run in runs:
        if run.exit_code:
            raise SystemExit(f"exit {run.exit_code}: {run.error}")


def ray(settings: Settings) -> Result:
    """`import` of the corpus as archives: alone, and on Ray with one and two workers."""
    return Result(*measure_imports(settings))


def archive(settings: Settings) -> Result:
    """`import` of one archive of JSON lines, beside what DuckDB and Polars make of it."""
    return Result(*measure_archive(settings))


def growth(settings: Settings) -> Result:
    """What each further thread, run, step and MiB costs."""
    return Result(*measure_growth(settings))


def queries(settings: Settings) -> Result:
    """Named queries, report and check at several sizes, beside DuckDB alone and another commit."""
    return Result(*measure_queries(settings))


def successors(settings: Settings) -> Result:
    """Conversations and sessions beside threads, by the byte."""
    return Result(*measure_successors(settings))


MODES = {
    "compare": compare,
    "second": second,
    "memory": memory,
    "rebuild": rebuild,
    "import": archive,
    "startup": startup,
    "pacing": pacing,
    "ray": ray,
    "growth": growth,
    "stages": stages,
    "queries": queries,
    "successors": successors,
}
