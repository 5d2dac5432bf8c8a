"""Delta tables with the columns, types and keys of the warehouse's tables: made, brought up to date, written."""

import contextlib
import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.catalog import SqlFile
from pipeline.errors import ConfigurationError
from pipeline.objects import BUCKET_HINT

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable, Schema

# In every commit: of two publishers that have read the same state Delta lets only one write.
APPLICATION = "run-steps-pipeline"
_EXTRA = "a lake needs the library deltalake: pip install 'run-steps-pipeline[lake]'"
_DELTA_TYPES = {
    "varchar": "string",
    "json": "string",
    "bigint": "long",
    "boolean": "boolean",
    "double": "double",
    "date": "date",
    "timestamptz": "timestamp",
}
_REQUIRED = re.compile(r"^\s+([a-z_][a-z0-9_]*) .*\bnot null\b", re.MULTILINE)
# Statistics of these serve to skip files; those of texts would copy conversations into the log.
_TIMES = ("created_at", "started_at", "sealed_at", "landed_at")
_OWNERS = ("thread_id", "run_id")
PARTITION = "source"
# Here `source` says where a price was read.
_OF_NO_SOURCE = ("prices", "price_discounts")
_ZSTD_LEVEL = 3
_OPERATION = "change__"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_REASON = 400


class LakeConflictError(Exception):
    """Somebody else has written meanwhile: read again, then write."""


@dataclass(frozen=True, slots=True)
class Change:
    """Rows of a table that are new or other than before, and the keys of those that have gone.

    `only_new` says that the lake has none of the rows, so that they can be appended.
    """

    upserts: pl.DataFrame
    deletes: pl.DataFrame
    only_new: bool


def delta_library() -> Any:
    """The module deltalake. Raises ConfigurationError, naming the extra, if it is not installed."""
    try:
        library: Any = importlib.import_module("deltalake")
        importlib.import_module("deltalake.exceptions")
    except ImportError as error:
        raise ConfigurationError(_EXTRA) from error
    return library


@contextlib.contextmanager
def naming_place(place: str) -> Iterator[None]:
    """Raises ConfigurationError, naming the lake, where Delta cannot read or write."""
    try:
        yield
    except (delta_library().exceptions.DeltaError, pl.exceptions.PolarsError, OSError) as error:
        hint = BUCKET_HINT if "://" in place else ""
        raise ConfigurationError(f"the lake {place} cannot be used: {_reason(error)}{hint}") from error


@contextlib.contextmanager
def noticing_conflicts() -> Iterator[None]:
    """Raises LakeConflictError where Delta refuses a commit."""
    errors = delta_library().exceptions
    try:
        yield
    except errors.CommitFailedError as error:
        raise LakeConflictError(str(error)) from error
    except errors.DeltaError as error:
        # Two that make one table at the same time.
        if "already exists" not in str(error):
            raise
        raise LakeConflictError(str(error)) from error


def find_table(uri: str) -> "DeltaTable | None":
    """The table in its newest version; None if there is none."""
    library = delta_library()
    try:
        table: DeltaTable = library.DeltaTable(uri)
    except library.exceptions.TableNotFoundError:
        return None
    return table


def create_table(uri: str, declared: SqlFile) -> "DeltaTable":
    """An empty table, partitioned by source if it has one; its key is among its properties."""
    columns = list(declared.columns)
    indexed = [name for name in columns if name in {*declared.grain, *_TIMES, *_OWNERS} - {PARTITION}]
    table: DeltaTable = delta_library().DeltaTable.create(
        uri,
        schema=_schema(declared),
        partition_by=[PARTITION] if PARTITION in columns and declared.name not in _OF_NO_SOURCE else None,
        name=declared.name,
        description=declared.summary,
        configuration={
            "delta.checkpointInterval": "20",
            "delta.dataSkippingStatsColumns": ",".join(indexed),
            f"{APPLICATION}.key": ",".join(declared.grain),
        },
        raise_if_key_not_exists=False,
    )
    return table


def add_missing_columns(table: "DeltaTable", declared: SqlFile) -> None:
    """Bring a table up to the declared columns. Raises ConfigurationError if one has another type."""
    wanted = {field.name: field for field in _schema(declared).fields}
    present = {field.name: field.type for field in table.schema().fields}
    for name, field in wanted.items():
        if name in present and present[name] != field.type:
            raise ConfigurationError(
                f"{table.table_uri} has a column {name} of another type than the warehouse has:"
                " publish into an empty folder"
            )
    missing = [field for name, field in wanted.items() if name not in present]
    if required := [field.name for field in missing if not field.nullable]:
        raise ConfigurationError(
            f"{table.table_uri} has no column {required[0]}, which every row needs: publish into an empty folder"
        )
    if missing:
        table.alter.add_columns(missing)


def write_change(table: "DeltaTable", change: Change, key: Sequence[str], *, epoch: int, parts: Sequence[str]) -> None:
    """One commit with the change, and application transactions of this program and of each part, also for no rows."""
    library = delta_library()
    marks = [library.Transaction(APPLICATION, epoch), *(library.Transaction(part, epoch) for part in parts)]
    properties = library.CommitProperties(app_transactions=marks)
    if change.only_new:
        _append(table, change.upserts, properties)
    else:
        _merge(table, change, key, properties)


def _reason(error: Exception) -> str:
    """An error of deltalake, which it draws as a coloured tree of causes, in one line."""
    causes = (line.strip(" \u21b3") for line in _COLOURS.sub("", str(error)).splitlines())
    return ": ".join(cause for cause in causes if cause)[:_LONGEST_REASON]


def writer_properties() -> Any:
    """How Parquet files are packed."""
    return delta_library().WriterProperties(compression="ZSTD", compression_level=_ZSTD_LEVEL)


def _schema(declared: SqlFile) -> "Schema":
    library = delta_library()
    required = set(_REQUIRED.findall(declared.text))
    fields = [
        library.Field(name, _delta_type(sql), nullable=name not in required) for name, sql in declared.columns.items()
    ]
    schema: Schema = library.Schema(fields)
    return schema


def _delta_type(sql: str) -> Any:
    name = sql.replace(" ", "") if sql.startswith("decimal") else _DELTA_TYPES[sql]
    return importlib.import_module("deltalake.schema").PrimitiveType(name)


def _append(table: "DeltaTable", rows: pl.DataFrame, properties: "CommitProperties") -> None:
    delta_library().write_deltalake(
        table,
        rows,
        mode="append",
        # A table may have columns of somebody else's.
        schema_mode="merge",
        commit_properties=properties,
        writer_properties=writer_properties(),
    )


def _merge(table: "DeltaTable", change: Change, key: Sequence[str], properties: "CommitProperties") -> None:
    upserts = change.upserts.with_columns(pl.lit("upsert").alias(_OPERATION))
    deletes = change.deletes.with_columns(pl.lit("delete").alias(_OPERATION))
    columns = {name: f"s.{name}" for name in change.upserts.columns}
    required = {field.name for field in table.schema().fields if not field.nullable}
    # Equality lets Delta leave out files; only a key that may be null needs more.
    same = " and ".join(f"(t.{name} {'=' if name in required else 'is not distinct from'} s.{name})" for name in key)
    is_upsert = f"s.{_OPERATION} = 'upsert'"
    (
        table.merge(
            pl.concat([upserts, deletes], how="diagonal"),
            predicate=same,
            source_alias="s",
            target_alias="t",
            commit_properties=properties,
            writer_properties=writer_properties(),
        )
        .when_matched_delete(predicate=f"s.{_OPERATION} = 'delete'")
        .when_matched_update(columns, predicate=is_upsert)
        .when_not_matched_insert(columns, predicate=is_upsert)
        .execute()
    )
