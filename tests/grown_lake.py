"""What it takes to publish one part into a lake that holds much else: `python -m tests.grown_lake ROWS` prints it."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from deltalake import write_deltalake

from pipeline.lake.store import Lake
from pipeline.raw.places import raw_store
from tests.landed import Listing, land, run_of, step_of
from tests.publish_parts import publish
from tests.syncs import ROOT, environ_for

ROWS_PER_FILE = 50_000
RUNS_PER_THREAD = 10
TEXT = "You are a helpful assistant. " * 17


def grow_lake(folder: Path, rows: int, *, grown: int = 0) -> None:
    """A data folder and a lake with so many further runs and their walks, and a part to publish that changes some.

    Of a lake that has `grown` to fewer, only the others are written.
    """
    store, lake = raw_store(folder / "data"), folder / "lake"
    if not grown:
        listed = Listing(1, [run_of("run_0")]), Listing(1, [step_of("step_0")], run_id="run_0")
        land(store, *listed, sync_id="sync_0")
        publish(folder / "data", lake)
    snapshot = Lake(str(lake)).open()
    for name in ("runs", "walks"):
        one = snapshot.scan(name).head(1).collect()
        for start in range(grown, rows, ROWS_PER_FILE):
            numbers = pl.DataFrame({"number": range(start, min(rows, start + ROWS_PER_FILE))})
            thread_ids = pl.format("thread_{}", pl.col("number") // RUNS_PER_THREAD)
            more = {"walk_id": pl.format("walk_{}", "number")} if name == "walks" else {"instructions": _texts()}
            many = one.join(numbers, how="cross").with_columns(
                run_id=pl.format("run_{}", "number"), thread_id=thread_ids, **more
            )
            write_deltalake(str(lake / name), many.drop("number"), mode="append")
    thread = thread_at(rows)
    first, thread_id = thread * RUNS_PER_THREAD, f"thread_{thread}"
    runs = [run_of(f"run_{number}", thread_id=thread_id) for number in range(first, first + RUNS_PER_THREAD)]
    steps = Listing(2, [step_of("step_1")], thread_id=thread_id, run_id=f"run_{first}")
    land(store, Listing(2, runs, thread_id=thread_id), steps, sync_id=f"sync_{rows}")


def thread_at(rows: int) -> int:
    """Of so many runs that others have published, the thread that is listed once more."""
    return rows // RUNS_PER_THREAD // 2


def _texts() -> pl.Expr:
    return pl.concat_str(pl.lit(TEXT), pl.col("number"))


def measure_publish(folder: Path) -> dict[str, float]:
    """Parts, seconds and peak megabytes of a process that publishes what waits there."""
    command = [sys.executable, "-m", "tests.grown_lake", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environ_for(), capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main(argument: str) -> None:
    """Grow a lake and measure in another process, or publish and say what that took."""
    if argument.isdigit():
        with tempfile.TemporaryDirectory() as folder:
            grow_lake(Path(folder), int(argument))
            print(argument, "rows:", measure_publish(Path(folder)))
        return
    here, started = Path(argument), time.perf_counter()
    parts = publish(here / "data", here / "lake").parts
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"parts": parts, "wall_s": round(time.perf_counter() - started, 1), "peak_mb": round(peak_mb)}))


if __name__ == "__main__":
    main(sys.argv[1])
