"""Ad-hoc and named SQL over the warehouse, read-only."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.catalog import SqlFile, read_sql_files
from pipeline.errors import ConfigurationError
from pipeline.present import frame_table, stdout_console
from pipeline.warehouse import Connection, first_line, open_for_reading, read_frame

_READING = frozenset({"SELECT", "EXPLAIN"})


def run_query(warehouse: Path, text: str, params: Mapping[str, str]) -> pl.DataFrame:
    """The result of a named query, or of one statement of SQL.

    Raises ConfigurationError for anything but one reading statement, and for what DuckDB cannot run.
    """
    named = read_sql_files("queries").get(text)
    if named is None and " " not in text.strip():
        raise ConfigurationError(_unknown_name(text))
    with open_for_reading(warehouse) as connection:
        sql = text if named is None else named.text
        _check_statement(connection, sql)
        try:
            return read_frame(connection, sql, _parameters(named, params))
        except duckdb.Error as error:
            raise ConfigurationError(f"DuckDB cannot run this: {first_line(error)}") from error


def _unknown_name(text: str) -> str:
    names = ", ".join(read_sql_files("queries"))
    return f"there is no query named {text!r}; named queries: {names}. SQL has spaces: query 'select ...'"


def _check_statement(connection: Connection, sql: str) -> None:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigurationError(f"DuckDB cannot read this SQL: {first_line(error)}") from error
    if len(statements) != 1:
        raise ConfigurationError(f"one statement at a time, this is {len(statements)}: run `query` once for each")
    kind = statements[0].type.name
    if kind not in _READING:
        raise ConfigurationError(
            f"`query` only reads and this is {kind}: open the DuckDB file with the duckdb command line to change it"
        )


def _parameters(named: SqlFile | None, params: Mapping[str, str]) -> dict[str, Any] | None:
    if named is None:
        return dict(params) or None
    unknown = sorted(set(params) - set(named.params))
    if unknown:
        known = ", ".join(named.params) or "none"
        raise ConfigurationError(f"the query {named.name} has no parameter {unknown[0]!r}; it has: {known}")
    return {**named.params, **params} or None


def render(frame: pl.DataFrame, output: str) -> bytes:
    """The frame as csv, json (an array of objects) or parquet."""
    buffer = io.BytesIO()
    if output == "csv":
        frame.with_columns(pl.col(pl.Boolean).cast(pl.String)).write_csv(buffer)
    elif output == "json":
        frame.with_columns(pl.col(pl.Decimal).cast(pl.String)).write_json(buffer)
        buffer.write(b"\n")
    else:
        frame.write_parquet(buffer)
    return buffer.getvalue()


def print_result(frame: pl.DataFrame, output: str, *, limit: int | None) -> None:
    """The result on stdout; a table says how many rows it left out."""
    if output != "table":
        sys.stdout.buffer.write(render(frame, output))
        sys.stdout.buffer.flush()
        return
    console = stdout_console()
    console.print(frame_table(frame, limit=limit))
    if limit is not None and frame.height > limit:
        console.print(f"({limit:,} of {frame.height:,} rows; --all prints them all)")


def print_queries() -> None:
    """The named queries with what they answer, on stdout."""
    rows = [
        (query.name, query.summary, ", ".join(f"{name}={value}" for name, value in query.params.items()))
        for query in read_sql_files("queries").values()
    ]
    frame = pl.DataFrame(rows, schema=["query", "what it answers", "parameters"], orient="row")
    stdout_console().print(frame_table(frame))
