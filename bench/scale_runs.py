"""What the plan past this machine rests on, measured: syncs, naming, listing and walks, by commands of the product."""

import http.server
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import polars as pl

from bench.measure import Measurement, measure
from bench.publishing import Parts, publish_in_parts
from bench.settings import ROOT
from pipeline.protocol.pages import LandedWalk, Walk
from pipeline.raw.parts import RawStore, new_sync_id
from pipeline.raw.writer import PartWriter

# Accounts of the emulator: one for all figures, a small one beside it for what grows with the number of threads.
THREADS, FEW_THREADS = 1_200, 300
# Ids in a file, threads in a server's list.
NAMED_IDS, FEW_IDS = 1_000_000, 1
LISTED_THREADS, FEW_LISTED = 100_000, 10_000
# Days that nothing changes, each with a list of runs for each of the few threads.
DAYS = 200
SHARDS = 256
KEY = "emulator-key"
TIMEOUT_S = 600.0
# Of the sync of what is unchanged, whose peak is carried on furthest: one of six was 100 MB higher (2026-11-20).
REPEATS = 3
_PAGE = 100


@dataclass(frozen=True)
class Account:
    """What an account took. Bytes are of files; `again` is a sync of the same account, unchanged (median of three)."""

    threads: int
    runs: int
    steps: int
    requests: int
    requests_again: int
    raw_bytes: int
    raw_bytes_again: int
    body_bytes: int
    body_bytes_again: int
    flat_bytes: int
    warehouse_bytes: int
    lake_bytes: int
    shard_cpu_s: float
    again_cpu_s: float
    load_cpu_s: float
    publish_cpu_s: float
    shard_peak_mb: float
    again_peak_mb: float
    load_peak_mb: float


@dataclass(frozen=True)
class Pair:
    """One command at two sizes, the smaller first."""

    command: str
    sizes: tuple[int, int]
    cpu_s: tuple[float, float]
    peak_mb: tuple[float, float]
    requests: tuple[int, int] = (0, 0)

    def each(self, name: str) -> float:
        """What each further one adds; memory that did not grow adds nothing."""
        before, after = getattr(self, name)
        return max(0.0, float(after - before)) / (self.sizes[1] - self.sizes[0])


@dataclass(frozen=True)
class Walks:
    """What lists of unchanged threads add to a warehouse and a lake: bytes of files, for so many rows of `walks`."""

    rows: int
    warehouse_bytes: int
    lake_bytes: int
    load_cpu_s: float
    publish: Parts


def measure_account(threads: int) -> Account:
    """An emulator with so many threads, synced twice by a shard, loaded and published."""
    with _folder() as folder:
        with emulated(threads) as base_url:
            shard, counts = sync(folder, "shard", base_url)
            raw_bytes, flat_bytes = size_of(folder / "shard" / "raw"), size_of(folder / "shard" / "flat")
            body_bytes = bodies_of(folder / "shard")
            again, counts_again = sync(folder, "shard", base_url)
            raw_bytes_again = size_of(folder / "shard" / "raw") - raw_bytes
            body_bytes_again = bodies_of(folder / "shard") - body_bytes
            load = run(folder, ["load", "shard", "--data-dir", "all"])
            publish = run(folder, ["publish", "delta", "lake", "--data-dir", "all"])
            repeated = [again, *(sync(folder, "shard", base_url)[0] for _ in range(REPEATS - 1))]
        return Account(
            threads=counts["threads"],
            runs=counts["runs_listed"],
            steps=counts["steps"],
            requests=counts["requests"],
            requests_again=counts_again["requests"],
            raw_bytes=raw_bytes,
            raw_bytes_again=raw_bytes_again,
            body_bytes=body_bytes,
            body_bytes_again=body_bytes_again,
            flat_bytes=flat_bytes,
            warehouse_bytes=size_of(folder / "all" / "warehouse.duckdb"),
            lake_bytes=size_of(folder / "lake"),
            shard_cpu_s=round(shard.cpu_s, 2),
            again_cpu_s=round(statistics.median(taken.cpu_s for taken in repeated), 2),
            load_cpu_s=round(load.cpu_s, 2),
            publish_cpu_s=round(publish.cpu_s, 2),
            shard_peak_mb=round(shard.peak_mb, 1),
            again_peak_mb=round(statistics.median(taken.peak_mb for taken in repeated), 1),
            load_peak_mb=round(load.peak_mb, 1),
        )


def measure_naming() -> Pair:
    """The plan of one shard for a file of ids, almost all of which are other shards'."""
    command = ["sync", "--threads", "ids.txt", "--shard", f"1/{SHARDS}", "--dry-run"]
    with _folder() as folder:
        taken = []
        for count in (FEW_IDS, NAMED_IDS):
            ids = (f"thread_{number:024}\n" for number in range(count))
            (folder / "ids.txt").write_text("".join(ids))
            taken.append(run(folder, [*command, "--base-url", "http://127.0.0.1:9/v1"]))
    return pair_of_runs(command, (FEW_IDS, NAMED_IDS), taken)


def measure_listing() -> Pair:
    """The plan of one shard that asks the server for the list of its threads."""
    command = ["sync", "--all-threads", "--shard", f"1/{SHARDS}", "--dry-run"]
    with _folder() as folder:
        taken, requests = [], []
        for count in (FEW_LISTED, LISTED_THREADS):
            with listing(count) as (base_url, asked):
                taken.append(run(folder, [*command, "--base-url", base_url]))
                requests.append(len(asked))
    return replace(pair_of_runs(command, (FEW_LISTED, LISTED_THREADS), taken), requests=(requests[0], requests[1]))


def measure_walks() -> Walks:
    """The same threads asked for on many days, loaded and published; the days after the first are copies of it."""
    with _folder() as folder:
        with emulated(FEW_THREADS) as base_url:
            sync(folder, "data", base_url)
            store = RawStore(folder / "data" / "raw")
            first = set(store.list_parts())
            sync(folder, "data", base_url)
        day = [walk for part in store.list_parts() if part not in first for walk in store.read_part(part).walks]
        before = _load_and_publish(folder)[1:]
        for number in range(1, DAYS + 1):
            _land_day(store, day, timedelta(days=number))
        shutil.copytree(folder / "lake", folder / "copy")
        publish = publish_in_parts(folder / "data", folder / "copy")
        load, *after = _load_and_publish(folder)
    warehouse_bytes, lake_bytes = (then - now for now, then in zip(before, after, strict=True))
    return Walks(DAYS * len(day), warehouse_bytes, lake_bytes, round(load.cpu_s, 2), publish)


def _load_and_publish(folder: Path) -> tuple[Measurement, int, int]:
    """What the load took, and the bytes of the warehouse and of the lake."""
    load = run(folder, ["load", "--data-dir", "data"])
    run(folder, ["publish", "delta", "lake", "--data-dir", "data"])
    return load, size_of(folder / "data" / "warehouse.duckdb"), size_of(folder / "lake")


def _land_day(store: RawStore, walks: Sequence[LandedWalk], later: timedelta) -> None:
    at = walks[0].certificate.started_at + later
    writer = PartWriter(store, source=walks[0].source, sync_id=new_sync_id(at))
    for walk in walks:
        done = walk.certificate
        moved = msgspec.structs.replace(done, started_at=done.started_at + later, ended_at=done.ended_at + later)
        writer.add_walk(Walk(moved, [replace(page, fetched_at=page.fetched_at + later) for page in walk.pages]))
    writer.land(writer.take_rows())


@contextmanager
def emulated(threads: int, *, phase: int = 1, seed: int = 7) -> Iterator[str]:
    """The base URL of an emulator with so many threads; in phase 1 their runs have gone on, and all have ended."""
    options = {"--threads": threads, "--phase": phase, "--seed": seed}
    words = [str(word) for option in options.items() for word in option]
    command = [sys.executable, "-m", "pipeline", "emulate", *words]
    with subprocess.Popen(
        [*command, "--until-stdin-ends"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.stdin.close()


@contextmanager
def listing(threads: int) -> Iterator[tuple[str, list[str]]]:
    """The base URL of a server that knows nothing but the list of its threads, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            after = parse_qs(urlsplit(self.path).query).get("after", ["thread_-1"])[0]
            start = int(after.removeprefix("thread_")) + 1
            data = [_thread(number) for number in range(start, min(start + _PAGE, threads))]
            body = json.dumps({"object": "list", "data": data, "has_more": start + _PAGE < threads}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", asked
        finally:
            server.shutdown()


def _thread(number: int) -> dict[str, object]:
    return {"id": f"thread_{number:024}", "object": "thread", "created_at": 1_750_000_000 + number, "metadata": {}}


def sync(folder: Path, data_dir: str, base_url: str) -> tuple[Measurement, dict[str, Any]]:
    """One shard that has everything: what it took, and its summary."""
    command = ["sync", "--all-threads", "--no-load", "--json", "--quiet", "--workers", "1", "--data-dir", data_dir]
    done = run(folder, [*command, "--base-url", base_url])
    return done, json.loads(done.last_line)


def run(folder: Path, arguments: Sequence[str]) -> Measurement:
    """`python -m pipeline ARGUMENTS`, measured."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, "HOME": str(folder)}
    done = measure([sys.executable, "-m", "pipeline", *arguments], env=env, cwd=folder, timeout_s=TIMEOUT_S)
    if done.exit_code:
        raise SystemExit(f"{arguments[0]}: exit {done.exit_code}: {done.error}")
    return done


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*"))


def bodies_of(data_dir: Path) -> int:
    """Bytes of the bodies in all raw parts of a data folder."""
    store = RawStore(data_dir / "raw")
    return sum(store.read_body_bytes(part) for part in store.list_parts())


def size_of_lake(lake: Path) -> int:
    """Steps in a lake."""
    return int(pl.scan_delta(str(lake / "run_steps")).select(pl.len()).collect().item())


def pair_of_runs(command: Sequence[str], sizes: tuple[int, int], taken: Sequence[Measurement]) -> Pair:
    """What a command took at two sizes."""
    few, many = taken
    return Pair(
        command=" ".join(["python -m pipeline", *command]),
        sizes=sizes,
        cpu_s=(round(few.cpu_s, 2), round(many.cpu_s, 2)),
        peak_mb=(round(few.peak_mb, 1), round(many.peak_mb, 1)),
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        yield Path(name)
