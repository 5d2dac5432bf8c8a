"""A DuckDB connection: frames as tables, results as frames."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipeline.sqlfiles.arrow import ArrowStream, HasArrowStream

if TYPE_CHECKING:
    import polars as pl

Connection = duckdb.DuckDBPyConnection

# To drop blocks takes time, as some are read again: not after each batch, and then many.
_MUCH_BYTES = 56 * 2**20
_LITTLE = "32MB"
# duckdb 1.x hands filters on a registered stream to pyarrow, which cannot compare the text type of Polars.
_COPIES_FRAMES = duckdb.__version__.startswith("1.")


def read_frame(connection: Connection, sql: str, parameters: object = None) -> "pl.DataFrame":
    """The whole result of a query."""
    # Whoever reads without frames waits longer for this import than for his rows.
    import polars as pl

    return pl.DataFrame(ArrowStream(connection.sql(sql, params=parameters)))


def has_rows(connection: Connection, relation: str) -> bool:
    """Whether a relation, with a condition or not, has any row."""
    return connection.execute(f"select 1 from {relation} limit 1").fetchall() != []


def register(connection: Connection, name: str, frame: HasArrowStream) -> None:
    """Make a frame readable by SQL under a name."""
    if not _COPIES_FRAMES:
        connection.register(name, ArrowStream(frame))
        return
    connection.register(f"{name}_stream", ArrowStream(frame))
    connection.execute(f"create or replace temp table {name} as select columns(*) from {name}_stream")
    connection.unregister(f"{name}_stream")


def unregister(connection: Connection, name: str) -> None:
    """Let go of a frame made readable before."""
    if _COPIES_FRAMES:
        connection.execute(f"drop table temp.{name}")
    else:
        connection.unregister(name)


def let_go(connection: Connection) -> None:
    """Have DuckDB drop what it keeps because there is room: it fills its memory with blocks it might read again."""
    query = "select current_setting('memory_limit'), sum(memory_usage_bytes) from duckdb_memory()"
    [(limit, used_bytes)] = connection.execute(query).fetchall()
    if used_bytes <= _MUCH_BYTES:
        return
    # What it cannot do without it keeps, and says that this is more.
    with contextlib.suppress(duckdb.Error):
        connection.execute(f"set memory_limit = '{_LITTLE}'")
    connection.execute(f"set memory_limit = '{limit}'")


@contextlib.contextmanager
def frame_views(connection: Connection) -> Iterator[Callable[[Mapping[str, "pl.DataFrame"]], None]]:
    """A function that makes frames readable by SQL inside the block, each in the place of the one that had its name.

    Frames of one name have one schema. What is registered anew instead, DuckDB keeps until its transaction ends.
    """
    slots: dict[str, ArrowStream] = {}

    def show(frames: Mapping[str, "pl.DataFrame"]) -> None:
        for name, frame in frames.items():
            if name in slots and not _COPIES_FRAMES:
                slots[name].owner = frame
                continue
            slots[name] = ArrowStream(frame)
            register(connection, name, slots[name])

    yield show
    for name in slots:
        unregister(connection, name)


@contextlib.contextmanager
def attached(connection: Connection, path: Path, name: str) -> Iterator[set[str]]:
    """Another warehouse file, readable under `name` inside the block; gives the names of its tables."""
    connection.execute(f"attach {quoted(str(path))} as {name} (read_only)")
    try:
        sql = f"select table_name from duckdb_tables() where database_name = {quoted(name)}"
        yield {table for (table,) in connection.execute(sql).fetchall()}
    finally:
        connection.execute(f"detach {name}")


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def whole_message(error: Exception) -> str:
    """A DuckDB message on SQL of a person's own: with the names that it offers and its mark under the place."""
    return str(error).strip()


def first_line(error: Exception) -> str:
    """The part of a DuckDB message that a person needs."""
    return str(error).strip().splitlines()[0]
