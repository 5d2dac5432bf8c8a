"""Threads that a data folder has forgotten, in a lake: the keys of all rows that are theirs."""

import polars as pl

from pipeline.lake.delta_tables import Change, key_of
from pipeline.lake.store import FORGOTTEN_FIRST, FORGOTTEN_LAST, PART_TABLES, Snapshot
from pipeline.privacy.forget_record import Forgotten
from pipeline.sqlfiles.catalog import read_sql_files

# Rows that are found through others go first and threads last of all: as long as they are there whoever was killed
# between two tables is followed, and brings every table to the same number.
_FIRST = (
    FORGOTTEN_FIRST,
    "file_search_results",
    "cost_ledger",
    "tool_calls",
    "rejects",
    "run_steps",
    "runs",
)
_ORDER = (*_FIRST, *(name for name in PART_TABLES if name not in (*_FIRST, FORGOTTEN_LAST)), FORGOTTEN_LAST)


def forgotten_changes(snapshot: Snapshot, forgotten: Forgotten) -> dict[str, Change]:
    """What to remove from each table of parts, in the order to do it; empty if there is nothing to remove."""
    known = snapshot.scan("threads").select("source", "thread_id")
    threads = pl.concat(
        [known.head(0).collect()]
        + [
            some.filter([forgotten.has(source, thread_id) for source, thread_id in some.iter_rows()])
            for some in known.collect_batches()
        ]
    )
    if threads.is_empty():
        return {}
    of_thread = [_of(snapshot.scan(name), threads) for name in ("walks", "runs", "run_steps")]
    runs = (
        pl.concat([rows.select("source", "run_id") for rows in of_thread])
        .drop_nulls()
        .unique()
        .collect(engine="streaming")
    )
    return {name: _removal(snapshot, name, threads, runs) for name in _ORDER}


def _removal(snapshot: Snapshot, name: str, threads: pl.DataFrame, runs: pl.DataFrame) -> Change:
    rows, declared = snapshot.scan(name), read_sql_files("tables")[name]
    key = key_of(declared)
    owners = [owner for owner in (threads, runs) if owner.columns[1] in declared.columns]
    keys = [_of(rows, owner).select(key) for owner in owners] or [rows.select(key).head(0)]
    deletes = pl.concat(keys).unique().collect(engine="streaming")
    return Change(rows.head(0).collect(), deletes, only_new=deletes.is_empty())


def _of(rows: pl.LazyFrame, owners: pl.DataFrame) -> pl.LazyFrame:
    # First by value: of a join Polars makes every row before it drops it.
    near = rows.filter(pl.col(name).is_in(owners[name].unique().to_list()) for name in owners.columns)
    return near.join(owners.lazy(), on=owners.columns, how="semi")
