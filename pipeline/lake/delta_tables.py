"""Delta tables with the columns, types and keys of the warehouse's tables: made and brought up to date."""

import contextlib
import importlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.program import command, install_command
from pipeline.sqlfiles.catalog import SqlFile
from pipeline.storage.buckets import hint_at, is_bucket, tell_cause

if TYPE_CHECKING:
    from deltalake import DeltaTable, Schema

# In every commit: of two publishers that have read the same state Delta lets only one write.
APPLICATION = "run-steps-pipeline"
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
_OWNERS = ("thread_id", "run_id", "step_id")
PARTITION = "source"
# Here `source` says where a price was read.
_OF_NO_SOURCE = ("prices", "price_discounts", "fees")
# Of tables whose files have only Arrow strings that every reader knows: until 2026-11-30 there were string views, too.
PLAIN_TEXTS = {f"{APPLICATION}.texts": "plain"}
_LOG_KEPT = "delta.logRetentionDuration"


class LakeConflictError(Exception):
    """Somebody else has written meanwhile: read again, then write."""


def delta_library() -> Any:
    """The module deltalake. Raises ConfigurationError, naming the extra, if it is not installed."""
    try:
        library: Any = importlib.import_module("deltalake")
        importlib.import_module("deltalake.exceptions")
    except ImportError as error:
        raise ConfigurationError(f"a lake needs the library deltalake: {install_command('lake')}") from error
    return library


@contextlib.contextmanager
def naming_place(place: str) -> Iterator[None]:
    """Raises ConfigurationError, naming the lake, where Delta cannot read or write."""
    try:
        yield
    except (delta_library().exceptions.DeltaError, pl.exceptions.PolarsError, OSError) as error:
        # Of a folder only what the system says can be helped with another one.
        hint = hint_at(place) if is_bucket(place) or "Os {" in str(error) or isinstance(error, OSError) else ""
        raise ConfigurationError(f"the lake {place} cannot be used: {tell_cause(error)}{hint}") from error


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


def find_table(uri: str, version: int | None = None) -> "DeltaTable | None":
    """The table, in its newest version unless one is named; None if there is none."""
    library = delta_library()
    try:
        table: DeltaTable = library.DeltaTable(uri, version=version)
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
            **PLAIN_TEXTS,
        },
        raise_if_key_not_exists=False,
    )
    return table


def key_of(declared: SqlFile) -> list[str]:
    """Columns that name a row of a table, the partition first, so that no other one is looked through."""
    of_source = [PARTITION] if PARTITION in declared.columns and declared.name not in _OF_NO_SOURCE else []
    return [*of_source, *(name for name in declared.grain if name not in of_source)]


def missing_columns(table: "DeltaTable", declared: SqlFile) -> list[str]:
    """Declared columns that a table does not have."""
    present = {field.name for field in table.schema().fields}
    return [name for name in declared.columns if name not in present]


def add_missing_columns(table: "DeltaTable", declared: SqlFile) -> None:
    """Bring a table up to the declared columns. Raises ConfigurationError if one has another type."""
    wanted = {field.name: field for field in _schema(declared).fields}
    present = {field.name: field.type for field in table.schema().fields}
    for name, field in wanted.items():
        if name in present and present[name] != field.type:
            raise ConfigurationError(
                f"{table.table_uri} has a column {name} of another type than the warehouse has: {_anew()}"
            )
    missing = [field for name, field in wanted.items() if name not in present]
    if required := [field.name for field in missing if not field.nullable]:
        raise ConfigurationError(f"{table.table_uri} has no column {required[0]}, which every row needs: {_anew()}")
    if missing:
        table.alter.add_columns(missing)


def _anew() -> str:
    return f"`{command('publish delta OTHER_PLACE')}` makes a new lake of all raw parts"


def shorten_log(table: "DeltaTable", *, hours: int) -> None:
    """Keep the log of so many hours, on top of a checkpoint: what is older names keys of rows that may have gone."""
    kept = {_LOG_KEPT: f"interval {hours} hours"}
    if table.metadata().configuration.get(_LOG_KEPT) != kept[_LOG_KEPT]:
        table.alter.set_table_properties(kept)
    table.create_checkpoint()
    table.cleanup_metadata()


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
