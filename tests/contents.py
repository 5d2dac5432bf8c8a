"""What a warehouse says, without what names the sync that said it: to compare two ways to the same tables."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pipeline.sqlfiles.catalog import read_sql_files
from tests.syncs import read_tables

# Which sync, walk, page and part a row came from, and when that was.
_LINEAGE = (
    "walk_id", "page_index", "observed_at", "sealed_at", "sync_id", "part",
    "started_at", "ended_at", "first_seen_at", "last_synced_at", "imported_at",
)  # fmt: skip
_OF_RUNS = ("started_at",)
# One row for each sync or part.
_BOOKKEEPING = ("syncs", "loaded_parts", "schema_version")


def read_contents(data_dir: Path, *, but: Sequence[str] = ()) -> dict[str, pl.DataFrame]:
    """Every table (`but` some) of a data folder, sorted, without lineage."""
    names = [name for name in read_sql_files("tables") if name not in (*_BOOKKEEPING, *but)]
    without = {name: [column for column in _LINEAGE if name != "runs" or column not in _OF_RUNS] for name in names}
    return read_tables(data_dir, without=without, named=names)


def assert_same_contents(data_dir: Path, other: Path, *, but: Sequence[str] = ()) -> None:
    """Both hold the same rows in every table."""
    ours, theirs = read_contents(data_dir, but=but), read_contents(other, but=but)
    assert [name for name, frame in ours.items() if not frame.equals(theirs[name])] == []
    assert ours["run_steps"].height
