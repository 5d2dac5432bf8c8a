"""Threads that a data folder has forgotten, in a lake: the keys of all rows that are theirs."""

import polars as pl

from pipeline.lake.delta_tables import key_of
from pipeline.lake.store import FORGOTTEN_FIRST, FORGOTTEN_LAST, PART_TABLES, Snapshot
from pipeline.lake.table_writes import Change
from pipeline.privacy.forget_record import Forgotten
from pipeline.sqlfiles.catalog import read_sql_files

# Threads go last of all: as long as they are there whoever was killed between two tables is followed, and brings every
# table to the same number.
_ENDS = (FORGOTTEN_FIRST, FORGOTTEN_LAST)
_ORDER = (FORGOTTEN_FIRST, *(name for name in PART_TABLES if name not in _ENDS), FORGOTTEN_LAST)


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
    return {name: _removal(snapshot, name, threads) for name in _ORDER}


def _removal(snapshot: Snapshot, name: str, threads: pl.DataFrame) -> Change:
    rows, declared = snapshot.scan(name), read_sql_files("tables")[name]
    key = key_of(declared)
    gone = _of(rows, threads) if "thread_id" in declared.columns else rows.head(0)
    deletes = gone.select(key).collect(engine="streaming")
    return Change(rows.head(0).collect(), deletes, only_new=deletes.is_empty())


def _of(rows: pl.LazyFrame, owners: pl.DataFrame) -> pl.LazyFrame:
    # First by value: of a join Polars makes every row before it drops it.
    near = rows.filter(pl.col(name).is_in(owners[name].unique().to_list()) for name in owners.columns)
    return near.join(owners.lazy(), on=owners.columns, how="semi")
