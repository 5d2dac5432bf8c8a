"""A lake that was made before the program had some columns: the parts of its rows are published once more."""

import polars as pl

from pipeline.console.tables import count_of
from pipeline.errors import ConfigurationError
from pipeline.lake.delta_tables import key_of, missing_columns
from pipeline.lake.store import PART_TABLES, Lake, Snapshot
from pipeline.lake.table_writes import Change
from pipeline.program import command
from pipeline.raw.parts import RawStore
from pipeline.raw.prune_record import read_pruned
from pipeline.sqlfiles.catalog import read_sql_files

_HELD = "loaded_parts"
# What a step was charged is not worked out again.
_KEPT = "cost_ledger"
_NAMED = 3


def release_parts(lake: Lake, store: RawStore, *, without_pruned: bool) -> list[str]:
    """Have the lake hold no part of rows that lack columns, so that it is published anew; what stays null, in words.

    Raises ConfigurationError if such parts are not in this store and were not pruned, unless they are to be left
    (`without_pruned`), LakeConflictError if somebody else wrote meanwhile.
    """
    snapshot = lake.open_present()
    if not (lacking := _lacking(snapshot)):
        return []
    names = [f"{table}.{column}" for table, columns in lacking.items() for column in columns]
    what = ", ".join(names[:_NAMED]) + (", ..." if names[_NAMED:] else "")
    held = pl.scan_delta(snapshot.tables[_HELD]).select(key_of(read_sql_files("tables")[_HELD])).collect()
    here = held.filter(pl.col("part").is_in([part.name for part in store.list_parts()]))
    gone = set(held["part"]) - set(here["part"])
    if (elsewhere := sorted(gone - {part.part for part in read_pruned(store)})) and not without_pruned:
        are, more = ("are", ", ...") if elsewhere[1:] else ("is", "")
        raise ConfigurationError(
            f"the lake {lake.place} does not have {what} yet, and {count_of(len(elsewhere), 'raw parts')} of its rows"
            f" {are} not in {store.place} ({elsewhere[0]}{more}): name the data folders that have more"
            f" (`{command(f'publish delta {lake.place} DIR...')}`), or go on with --without-pruned, and their rows"
            " stay without"
        )
    nothing = pl.scan_delta(snapshot.tables[_HELD]).head(0).collect()
    snapshot.commit(_HELD, Change(nothing, here, only_new=False), epoch=snapshot.epochs[_HELD])
    are = "are" if len(gone) > 1 else "is"
    stay = [f"rows of {count_of(len(gone), 'raw parts')} that {are} not here have no {what}"] if gone else []
    charged = [f"steps that were charged before have no {_KEPT}.{column}" for column in lacking.get(_KEPT, [])]
    return stay + charged


def _lacking(snapshot: Snapshot) -> dict[str, list[str]]:
    """Columns that tables do not have though parts were published: of tables with rows, and of those not there."""
    tables = snapshot.tables
    if _HELD not in tables or not tables[_HELD].count():
        return {}
    lacking = {}
    for name in PART_TABLES:
        declared = read_sql_files("tables")[name]
        if name not in tables:
            lacking[name] = list(declared.columns)
        elif tables[name].count() and (columns := missing_columns(tables[name], declared)):
            lacking[name] = columns
    return lacking
