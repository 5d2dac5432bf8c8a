"""Threads that a data folder has forgotten, in a lake: the keys of all rows that are theirs."""

import polars as pl

from pipeline.catalog import read_sql_files
from pipeline.delta_tables import Change
from pipeline.forgotten import Forgotten
from pipeline.lake import PART_TABLES, Snapshot

# Rows that are found through others go first, so that whoever is killed between two tables can be followed.
_FIRST = (
    "code_interpreter_outputs",
    "file_search_results",
    "cost_ledger",
    "tool_calls",
    "rejects",
    "run_steps",
    "runs",
)
_LAST = ("walks", "threads")
_ORDER = (*_FIRST, *_LAST, *(name for name in PART_TABLES if name not in (*_FIRST, *_LAST)))


def forgotten_changes(snapshot: Snapshot, forgotten: Forgotten) -> dict[str, Change]:
    """What to remove from each table of parts, in the order to do it; empty if there is nothing to remove."""
    known = snapshot.scan("threads").select("source", "thread_id").collect()
    threads = known.filter([forgotten.has(source, thread_id) for source, thread_id in known.iter_rows()])
    if threads.is_empty():
        return {}
    of_thread = [_of(snapshot.scan(name), threads) for name in ("walks", "runs", "run_steps")]
    runs = pl.concat([rows.select("source", "run_id") for rows in of_thread]).drop_nulls().unique().collect()
    return {name: _removal(snapshot, name, threads, runs) for name in _ORDER}


def _removal(snapshot: Snapshot, name: str, threads: pl.DataFrame, runs: pl.DataFrame) -> Change:
    rows, key = snapshot.scan(name), read_sql_files("tables")[name].grain
    columns = read_sql_files("tables")[name].columns
    owners = [owner for owner in (threads, runs) if owner.columns[1] in columns]
    keys = [_of(rows, owner).select(key) for owner in owners] or [rows.select(key).head(0)]
    deletes = pl.concat(keys).unique().collect()
    return Change(rows.head(0).collect(), deletes, only_new=deletes.is_empty())


def _of(rows: pl.LazyFrame, owners: pl.DataFrame) -> pl.LazyFrame:
    return rows.join(owners.lazy(), on=owners.columns, how="semi")
