"""What every case has in common: its arguments, the lines that start and stop the clock, its line of counts."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

START = "start"
DONE = "done"
DEFAULT_CONNECTIONS = 32


@dataclass(frozen=True)
class Job:
    """What a case has to do. `connections` is None where it should do as it does by default."""

    base_url: str
    threads_file: Path
    paths_file: Path
    out: Path
    connections: int | None
    options: list[str]

    @property
    def thread_ids(self) -> list[str]:
        return self.threads_file.read_text().split()


def read_job() -> Job:
    """The job from the command line; what follows `--` is for the case alone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--threads", type=Path, required=True)
    parser.add_argument("--paths", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--connections", type=int)
    parser.add_argument("options", nargs="*")
    given = parser.parse_args()
    return Job(given.base_url, given.threads, given.paths, given.out, given.connections, given.options)


def report_start() -> None:
    """Start the clock anew: only for a case that is nothing but the wrapper of another program."""
    print(START, flush=True)


def report_done() -> None:
    """Stop the clock: the rows are where they belong; counting them is no longer measured."""
    print(DONE, flush=True)


def report_counts(**counts: int | dict[str, int]) -> None:
    """The last line of a case, to be compared with the truth key by key."""
    print(json.dumps(counts), flush=True)
