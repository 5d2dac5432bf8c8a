"""Ad-hoc and named SQL over the warehouse, read-only."""

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.console.csv_cells import guard_formulas
from pipeline.console.tables import frame_table, stdout_console
from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.arrow import ArrowStream
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, first_line
from pipeline.warehouse.database import open_for_reading

_READING = frozenset({"SELECT", "EXPLAIN"})
# Types of DuckDB that polars 2.1 panics on or keeps as bytes; `completed_at - created_at` is an INTERVAL.
_FOREIGN_TYPE = re.compile(r"\b(INTERVAL|UNION|BIGNUM|VARINT)\b")


def run_query(place: Path | str, text: str, params: Mapping[str, str]) -> pl.DataFrame:
    """The result of a named query, or of one statement of SQL, over a warehouse (a path) or a lake (a text).

    Raises ConfigurationError for anything but one reading statement, and for what DuckDB cannot run.
    """
    named = read_sql_files("queries").get(text)
    if named is None and len(text.split()) < 2:
        raise ConfigurationError(_unknown_name(text))
    with _opened(place) as connection:
        sql = text if named is None else named.text
        _check_statement(connection, sql)
        try:
            return _read(connection, sql, _parameters(named, params))
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


def _read(connection: Connection, sql: str, parameters: Mapping[str, Any] | None) -> pl.DataFrame:
    """The result with a name of its own for each column, and as text what polars has no type for."""
    relation = connection.sql(sql, params=parameters)
    names = _distinct(relation.columns)
    foreign = [_FOREIGN_TYPE.search(str(dtype)) is not None for dtype in relation.types]
    if names != relation.columns or any(foreign):
        columns = (
            f"{f'cast(#{place} as varchar)' if as_text else f'#{place}'} as {_quoted(name)}"
            for place, (name, as_text) in enumerate(zip(names, foreign, strict=True), start=1)
        )
        relation = relation.project(", ".join(columns))
    return pl.DataFrame(ArrowStream(relation))


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that occur again are numbered: n, n_2, n_3."""
    distinct: dict[str, None] = {}
    for name in names:
        number, candidate = 1, name
        while candidate in distinct or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        distinct[candidate] = None
    return list(distinct)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


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

    Unless csv is to be raw, all texts are quoted and have an apostrophe where a spreadsheet would begin a formula.
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
        frame.with_columns(pl.col(pl.Decimal).cast(pl.String)).write_json(buffer)
        buffer.write(b"\n")
    else:
        frame.write_parquet(buffer)
    return buffer.getvalue()


def _json_texts(column: pl.Series) -> pl.Series:
    values = column.to_list()
    texts = [
        None if value is None else json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
        for value in values
    ]
    return pl.Series(column.name, texts, pl.String)


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
