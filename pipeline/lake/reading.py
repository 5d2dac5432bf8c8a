"""A lake as DuckDB sees it: the product's views over the live files of its Delta tables, without any extension."""

import contextlib
import warnings
from collections.abc import Iterator

from pipeline.lake.store import Lake, LakeFile, Snapshot
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, quoted
from pipeline.sqlfiles.schema import connect_in_memory
from pipeline.storage.buckets import bucket_files

# What a reader of a lake should know about it.
TORN = (
    "the lake holds a part of raw parts that are not whole yet: a publisher is at work, or was killed;"
    " `publish delta` with the data folder they are in brings them to their end"
)


@contextlib.contextmanager
def open_lake(place: str) -> Iterator[tuple[Connection, list[str]]]:
    """A connection as `connect_lake` gives it, until the end of the block, and warnings about the state of the lake."""
    lake = Lake(place)
    snapshot = lake.open()
    with _connect(lake, snapshot) as connection:
        yield connection, [TORN] if snapshot.has_halves() else []


def connect_lake(place: str) -> Connection:
    """A connection in UTC with every table and view of the warehouse over a lake as it is now.

    Only what a query needs of the files is read, in a folder by DuckDB itself, in a bucket through obstore.
    Raises ConfigurationError if there is no lake of this version. A lake that is not whole is a Python warning.
    """
    lake = Lake(place)
    snapshot = lake.open()
    connection = _connect(lake, snapshot)
    if snapshot.has_halves():
        warnings.warn(TORN, stacklevel=2)
    return connection


def _connect(lake: Lake, snapshot: Snapshot) -> Connection:
    connection = connect_in_memory()
    connection.execute("set autoinstall_known_extensions = false")
    if lake.is_remote:
        connection.register_filesystem(bucket_files(lake.place))
    for table in read_sql_files("tables").values():
        # The empty table stays below: it has the columns that no file may have yet.
        connection.execute(f"alter table {table.name} rename to declared_{table.name}")
        rows = _read_files(table, snapshot.files(table.name))
        connection.execute(f"create view {table.name} as {_cast(table, rows)}")
    return connection


def _read_files(table: SqlFile, files: list[LakeFile]) -> str:
    parts = [f"select columns(*) from declared_{table.name}"]
    for source in dict.fromkeys(file.source for file in files):
        paths = ", ".join(quoted(file.path) for file in files if file.source == source)
        constant = "" if source is None else f"{quoted(source)} as source, "
        parts.append(
            f"select {constant}columns(*) from read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"
        )
    return " union all by name ".join(parts)


def _cast(table: SqlFile, rows: str) -> str:
    columns = ", ".join(f"cast({name} as {sql}) as {name}" for name, sql in table.columns.items())
    return f"select {columns} from ({rows})"
