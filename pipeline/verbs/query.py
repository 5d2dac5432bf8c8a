"""Ad-hoc and named SQL over the warehouse, read-only."""

import contextlib
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.console.csv_cells import guard_formulas
from pipeline.console.tables import frame_table, stdout_console
from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, first_line
from pipeline.sqlfiles.read_only import WritingError, check_reading, lock_down
from pipeline.sqlfiles.results import leaves, read_result
from pipeline.warehouse.database import open_for_reading

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def run_query(place: Path | str, text: str, params: Mapping[str, str]) -> pl.DataFrame:
    """The result of a named query, or of one statement of SQL, over a warehouse (a path) or a lake (a text).

    Raises ConfigurationError for anything but one reading statement, and for what DuckDB cannot run.
    """
    named = read_sql_files("queries").get(text)
    if named is None and len(text.split()) < 2:
        raise ConfigurationError(_unknown_name(text))
    with _opened(place) as connection:
        lock_down(connection)
        values = _parameters(named, params)
        try:
            sql = named.text if named is not None else _checked(connection, text, values)
            return read_result(connection.sql(sql, params=values))
        except duckdb.Error as error:
            raise ConfigurationError(f"DuckDB cannot run this: {first_line(error)}") from error


@contextlib.contextmanager
def _opened(place: Path | str) -> Iterator[Connection]:
    if isinstance(place, Path):
        with open_for_reading(place) as connection:
            yield connection
        return
    # deltalake is an extra.
    from pipeline.lake.reading import open_lake

    with open_lake(place) as (connection, warnings):
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        yield connection


def _unknown_name(text: str) -> str:
    names = ", ".join(read_sql_files("queries"))
    return f"there is no query named {text!r}; named queries: {names}. SQL has spaces: query 'select ...'"


def _checked(connection: Connection, sql: str, values: Mapping[str, Any] | None) -> str:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigurationError(f"DuckDB cannot read this SQL: {first_line(error)}") from error
    if len(statements) != 1:
        raise ConfigurationError(f"one statement at a time, this is {len(statements)}: run `query` once for each")
    try:
        return check_reading(connection, statements[0], values)
    except WritingError as error:
        raise ConfigurationError(
            f"`query` only reads and this is {error}: open the DuckDB file with the duckdb command line to change it"
        ) from error


def _parameters(named: SqlFile | None, params: Mapping[str, str]) -> dict[str, Any] | None:
    if named is None:
        return dict(params) or None
    unknown = sorted(set(params) - set(named.params))
    if unknown:
        known = ", ".join(named.params) or "none"
        raise ConfigurationError(f"the query {named.name} has no parameter {unknown[0]!r}; it has: {known}")
    return {**named.params, **params} or None


def render(frame: pl.DataFrame, output: str, *, raw_csv: bool = False) -> bytes:
    """The frame as csv (lists and structures as JSON texts), json (an array of objects) or parquet.

    In JSON what is no finite number is a text: NaN, Infinity, -Infinity. Unless csv is to be raw, all texts are quoted
    and have an apostrophe where a spreadsheet would begin a formula.
    """
    buffer = io.BytesIO()
    if output == "csv":
        flat = frame.with_columns(_json_texts(column) for column in frame.iter_columns() if column.dtype.is_nested())
        flat = flat.with_columns(pl.col(pl.Boolean).cast(pl.String))
        if raw_csv:
            flat.write_csv(buffer)
        else:
            guard_formulas(flat).write_csv(buffer, quote_style="non_numeric")
    elif output == "json":
        _write_json(frame, buffer)
    else:
        frame.write_parquet(buffer)
    return buffer.getvalue()


def _write_json(frame: pl.DataFrame, buffer: io.BytesIO) -> None:
    floats = (values for column in frame.iter_columns() for values in leaves(column) if values.dtype.is_float())
    if all(values.is_finite().all() for values in floats):
        frame.with_columns(pl.col(pl.Decimal).cast(pl.String)).write_json(buffer)
        buffer.write(b"\n")
        return
    # Polars writes null for what is no finite number, and null is what nobody knows.
    buffer.write(f"[{','.join(map(_as_json, frame.iter_rows(named=True)))}]\n".encode())


def _json_texts(column: pl.Series) -> pl.Series:
    texts = [None if value is None else _as_json(value) for value in column.to_list()]
    return pl.Series(column.name, texts, pl.String)


def _as_json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """A value as JSON has it: exact numbers and what is none as texts."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_FINITE[str(value)]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def print_result(frame: pl.DataFrame, output: str, *, limit: int | None, raw_csv: bool = False) -> None:
    """The first `limit` rows of the result on stdout; a table says how many rows it left out."""
    if output != "table":
        sys.stdout.buffer.write(render(frame if limit is None else frame.head(limit), output, raw_csv=raw_csv))
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
