"""Executions of cases against a server, each verified against the truth."""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.corpus import Corpus
from bench.measure import Measurement, measure
from bench.server import Request, Server
from bench.settings import BEFORE, Settings

# Cases that are not of the classic protocol, with the kind of server that they are synced from.
KINDS = {"responses": "foundry-responses", "agents": "agents"}
ENVIRONMENT = {"NO_PROXY": "127.0.0.1", "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


@dataclass(frozen=True)
class Round:
    """One execution of a case. With a verdict other than `ok` its time counts for nothing."""

    case: str
    measurement: Measurement
    requests: list[Request]
    verdict: str

    @property
    def figures(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "verdict": self.verdict,
            "wall_s": round(self.measurement.wall_s, 4),
            "cpu_s": round(self.measurement.cpu_s, 3),
            "peak_mb": round(self.measurement.peak_mb, 1),
            "requests": len(self.requests),
        }


def run_case(case: str, settings: Settings, corpus: Corpus, server: Server, out: Path | None = None) -> Round:
    """Execute a case once, in a fresh directory unless told which."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix=f"bench-{case}-") as fresh:
            return run_case(case, settings, corpus, server, Path(fresh))
    mark = server.mark()
    measurement = run_measured(case_command(case, settings, corpus, server, out), settings)
    round_ = Round(case, measurement, server.read_requests(mark), judge(measurement, corpus.truth))
    say(f"{case}: {measurement.wall_s:.2f} s, {measurement.peak_mb:.0f} MB, {round_.verdict}")
    return round_


def case_command(case: str, settings: Settings, corpus: Corpus, server: Server, out: Path) -> list[str]:
    """The command line of a case, in the environment that it has."""
    kind = KINDS.get(case)
    module = "product_successors" if kind else "product" if case == BEFORE else case
    command = [
        settings.python_of(case),
        "-m",
        f"bench.cases.{module}",
        "--base-url",
        server.base_url,
        "--out",
        str(out),
    ]
    command += ["--threads", str(corpus.threads_file), "--paths", str(corpus.paths_file)]
    if settings.connections is not None:
        command += ["--connections", str(settings.connections)]
    if case == "product" and settings.product_options:
        command += ["--", *settings.product_options]
    if kind:
        command += ["--", kind]
    return command


def run_measured(command: Sequence[str], settings: Settings) -> Measurement:
    """Any command, in the environment that all cases share."""
    before = settings.before_python
    python = before if before is not None and before in command else settings.product_python
    return measure(command, env=os.environ | ENVIRONMENT, cwd=settings.root_of(python), timeout_s=settings.timeout_s)


def judge(measurement: Measurement, truth: dict[str, Any]) -> str:
    """`ok`, or how the execution ended, or which counts are not the truth."""
    if measurement.exit_code:
        return f"FAILED: exit {measurement.exit_code}, {measurement.error[:200]}"
    try:
        counts = json.loads(measurement.last_line)
    except ValueError:
        return "FAILED: no counts"
    keys = [key for key in counts if key in truth]
    wrong = [f"{key} {counts[key]} for {truth[key]}" for key in keys if counts[key] != truth[key]]
    return f"WRONG: {', '.join(wrong)}" if wrong or not keys else "ok"


def say(text: str) -> None:
    """Progress, away from the results."""
    print(text, file=sys.stderr, flush=True)
