"""Which pages have landed and which were asked for, by path and cursor."""

from collections.abc import Set as AbstractSet
from pathlib import Path
from urllib.parse import quote

import polars as pl

from pipeline.emulator import RunningEmulator
from pipeline.raw.parts import PartName
from tests.syncs import raw_files

Pairs = set[tuple[str, str | None]]
_FINISHED = ("completed", "failed", "cancelled", "expired", "incomplete")


def landed_pairs(data_dir: Path, *, without: AbstractSet[PartName] = frozenset()) -> Pairs:
    """Path and cursor of every page that need not be asked for again, in parts of one sync other than those.

    These are the pages of walks that landed complete; if the sync had come to its end, only those of finished runs.
    """
    known = {part.name for part in without}
    frames = [pl.read_parquet(path) for path in raw_files(data_dir) if path.stem not in known]
    if not frames:
        return set()
    rows = pl.concat(frames).with_columns(said=pl.when(pl.col("kind") != "page").then(pl.col("body").cast(pl.String)))
    verdict = pl.col("said").str.json_path_match("$.verdict")
    is_over = not rows.filter(pl.col("kind") == "sync", verdict.is_not_null(), verdict != "interrupted").is_empty()
    wanted = verdict == "complete"
    if is_over:
        wanted &= pl.col("said").str.json_path_match("$.run_status").is_in(_FINISHED)
    pages = rows.filter(kind="page").join(rows.filter(pl.col("kind") == "walk", wanted), on="walk_id", how="semi")
    columns = pages.select("resource", "thread_id", "run_id", "cursor").iter_rows()
    return {(path_of(*ids), cursor) for *ids, cursor in columns}


def path_of(resource: str, thread_id: str, run_id: str) -> str:
    """The path of a list on the emulator."""
    runs = f"/v1/threads/{quote(thread_id)}/runs"
    return runs if resource == "runs" else f"{runs}/{quote(run_id)}/steps"


def asked_pairs(server: RunningEmulator) -> Pairs:
    """Path and cursor of every request."""
    return {(entry["path"], entry["after"]) for entry in server.requests()}
