"""What is written into Delta tables: rows that are new, rows in place of others, files in place of small ones.

Files hold Arrow strings that every reader knows. What Polars gives, and what Delta's merge, update and delete write,
are string views: Daft reads none of them, pyarrow neither filters nor joins nor sorts them.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.lake.delta_tables import APPLICATION, PARTITION, PLAIN_TEXTS, delta_library

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

_ZSTD_LEVEL = 3
# Delta compares every row with every one of them, and breaks down at 60,000.
_OWNERS_AT_ONCE = 1_000
# If there are more, whole sources are written anew: so many rows of a table may be held in any case, and so many for
# each row that changes. A row takes about 1 KB.
_HELD_ROWS = 100_000
_HELD_ROWS_PER_CHANGE = 20

# Columns that rows are chosen by, each with the values that are chosen; none of them: all rows.
Chosen = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Change:
    """Rows of a table that are new or other than before, and the keys of those that have gone.

    `only_new` says that the lake has none of the rows, so that they can be appended.
    """

    upserts: pl.DataFrame
    deletes: pl.DataFrame
    only_new: bool


def write_change(table: "DeltaTable", change: Change, key: Sequence[str], *, epoch: int, parts: Sequence[str]) -> None:
    """Commits with the change, each with application transactions of this program and of each part, also for no rows.

    It is one commit, unless many rows of a large table change: who is killed between two has the first ones written.
    """
    library = delta_library()
    marks = [library.Transaction(APPLICATION, epoch), *(library.Transaction(part, epoch) for part in parts)]
    properties = library.CommitProperties(app_transactions=marks)
    if change.only_new or (change.upserts.is_empty() and change.deletes.is_empty()):
        _append(table, change.upserts, properties)
        return
    for chosen in _choose(table, change, key):
        _replace(table, change, key, chosen, properties)


def bring_together(table: "DeltaTable", key: Sequence[str]) -> None:
    """Few large files in place of many small ones; once, of a table that may have string views, every file anew."""
    if PLAIN_TEXTS.items() <= table.metadata().configuration.items():
        table.optimize.compact(writer_properties=_writer_properties())
        return
    # It writes anew also what is alone, which compaction leaves as it is.
    table.optimize.z_order([name for name in key if name != PARTITION], writer_properties=_writer_properties())
    table.alter.set_table_properties(PLAIN_TEXTS, raise_if_not_exists=False)


def _append(table: "DeltaTable", rows: pl.DataFrame, properties: "CommitProperties") -> None:
    delta_library().write_deltalake(
        table,
        _with_plain_texts(rows),
        mode="append",
        # A table may have columns of somebody else's.
        schema_mode="merge",
        commit_properties=properties,
        writer_properties=_writer_properties(),
    )


def _choose(table: "DeltaTable", change: Change, key: Sequence[str]) -> Iterator[Chosen]:
    """What to write anew, by commit: whole owners (the steps' calls, say, where one has changed), or whole sources.

    Ids are those of their parents, which servers may use again: what has one of each is written anew with them.
    """
    changed = pl.concat([change.upserts.select(key), change.deletes.select(key)])
    required = {field.name for field in table.schema().fields if not field.nullable}
    named = [name for name in key if name in required and changed.schema[name] == pl.String]
    owners = changed.select(named).unique().sort(named)
    held = _HELD_ROWS + _HELD_ROWS_PER_CHANGE * changed.height
    if owners.height > _OWNERS_AT_ONCE and table.count() <= held:
        owners = owners.select(name for name in named if name == PARTITION).unique()
    if not owners.width:
        yield {}
    for some in owners.iter_slices(_OWNERS_AT_ONCE):
        yield {column.name: column.unique().sort().to_list() for column in some}


def _replace(
    table: "DeltaTable", change: Change, key: Sequence[str], chosen: Chosen, properties: "CommitProperties"
) -> None:
    """Write the rows that are chosen anew: memory is that of those rows."""
    before = _of(pl.scan_delta(table), chosen).collect(engine="streaming")
    upserts, deletes = (_of(rows.lazy(), chosen).collect() for rows in (change.upserts, change.deletes))
    # A table may have columns of somebody else's.
    foreign = [name for name in before.columns if name not in upserts.columns]
    upserts = upserts.join(before.select(*key, *foreign), on=key, how="left", nulls_equal=True)
    changed = pl.concat([upserts.select(key), deletes.select(key)])
    kept = before.join(changed, on=key, how="anti", nulls_equal=True)
    predicate = " and ".join(f"{name} in ({', '.join(map(_quoted, values))})" for name, values in chosen.items())
    delta_library().write_deltalake(
        table,
        _with_plain_texts(pl.concat([kept, upserts.select(kept.columns)])),
        mode="overwrite",
        predicate=predicate or None,
        commit_properties=properties,
        writer_properties=_writer_properties(),
    )


def _of(rows: pl.LazyFrame, chosen: Chosen) -> pl.LazyFrame:
    for name, values in chosen.items():
        rows = rows.filter(pl.col(name).is_in(values))
    return rows


def _with_plain_texts(rows: pl.DataFrame) -> Any:
    """An Arrow table of the rows, without string views. deltalake brings the library."""
    arrow = importlib.import_module("arro3.core")
    table = arrow.Table.from_arrow(rows)
    columns, fields = [], []
    for column, field in zip(table.columns, table.schema, strict=True):
        is_view = arrow.DataType.is_string_view(field.type)
        columns.append(column.cast(arrow.DataType.large_utf8()) if is_view else column)
        fields.append(field.with_type(arrow.DataType.large_utf8()) if is_view else field)
    return arrow.Table.from_arrays(columns, schema=arrow.Schema(fields))


def _writer_properties() -> Any:
    return delta_library().WriterProperties(compression="ZSTD", compression_level=_ZSTD_LEVEL)


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
