"""Ad-hoc and named SQL over the warehouse, read-only: what was asked, and the rows that answer it."""

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from pipeline.errors import ConfigurationError
from pipeline.money.periods import Period
from pipeline.program import command
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, first_line, read_frame, whole_message
from pipeline.sqlfiles.narrowing import narrow
from pipeline.sqlfiles.read_only import WritingError, check_reading, lock_down
from pipeline.verbs.query.output import Answer, Look
from pipeline.verbs.query.values import read_values
from pipeline.warehouse.database import open_for_reading

if TYPE_CHECKING:
    import polars as pl

SQL_ROWS = 50
_ALL = 2**62
_BY_METADATA, _BY_KEY = "cost_by_metadata", "spend_by_"
# Parameters that say how far back a query looks, which a period says instead.
_REACH = ("days", "periods")


def ask(
    place: Path | str, text: str, params: Mapping[str, str], *, period: Period | None = None, look: Look | None = None
) -> Answer:
    """The answer to a named query, or to one statement of SQL, over a warehouse (a path) or a lake (a text).

    Of a period (None: of all days) is what its steps are of. `look` says how many rows will be looked at.
    Raises ConfigurationError for anything but one reading statement, and for what DuckDB cannot run.
    """
    named = read_sql_files("queries").get(text)
    with _opened(place) as connection:
        if named is None and len(text.split()) < 2:
            named, text, params = _found_by_name(connection, text, params)
        values, shown = _parameters(named, params, period), None
        if look is not None:
            values, shown = _limited(named, values, look)
        try:
            if period is not None:
                reads = named.reads if named is not None else _named_in(connection, text)
                narrow(connection, period.first_on, period.last_on, reads)
            lock_down(connection)
            sql = named.text if named is not None else _checked(connection, text, values)
            relation = connection.sql(sql, params=values)
            types = zip(relation.columns, relation.types, strict=True)
            documents = frozenset(name for name, dtype in types if str(dtype) == "JSON")
            totals = (named.names("total"), named.names("share")) if named else ([], [])
            is_counted = (values or {}).get("limit", _ALL) == _ALL
            return Answer(_read(relation, look), shown, documents, *totals, is_counted=is_counted)
        except duckdb.Error as error:
            said = first_line(error) if named is not None else whole_message(error)
            raise ConfigurationError(f"DuckDB cannot run this: {said}") from error


def _read(relation: duckdb.DuckDBPyRelation, look: Look | None) -> "pl.DataFrame | dict[str, list[Any]]":
    """As plain values where they do: it takes longer to import Polars than most queries take."""
    if look is not None and not look.takes_frames and (columns := read_values(relation)) is not None:
        return columns
    from pipeline.verbs.query.frames import read_result

    return read_result(relation)


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


def read_text(text: str) -> str:
    """What is asked: a text, or what a file of SQL or standard input (`-`) has."""
    path = Path(text)
    if text != "-" and (path.suffix != ".sql" or len(text.split()) > 1):
        return text
    where = "standard input" if text == "-" else text
    try:
        read = sys.stdin.read() if text == "-" else path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"cannot read SQL from {where}: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not read.strip():
        raise ConfigurationError(f"there is no SQL in {where}: it is empty")
    return read


def _found_by_name(
    connection: Connection, text: str, params: Mapping[str, str]
) -> tuple[SqlFile | None, str, Mapping[str, str]]:
    """What a single word is, if it is no query's name: a table or view, or spend by a key of the runs' metadata."""
    objects = {*read_sql_files("tables"), *read_sql_files("views")}
    if text in objects:
        return None, f"from {text}", params
    key = text.removeprefix(_BY_KEY)
    if key != text:
        keys = read_frame(connection, "select distinct unnest(json_keys(metadata)) as key from runs order by 1")["key"]
        if key in keys:
            return read_sql_files("queries")[_BY_METADATA], text, {"key": key, **params}
    names = [*read_sql_files("queries"), *objects]
    near = get_close_matches(text.lower(), names, n=3, cutoff=0.6)
    meant = f"did you mean {' or '.join(near)}?" if near else f"`{command('query --list')}` shows them."
    by_key = f" Runs have these metadata keys: {', '.join(keys)}." if key != text and len(keys) else ""
    raise ConfigurationError(
        f"there is no query, table or view named {text!r}: {meant}{by_key} SQL has spaces: query 'select ...'"
    )


def _named_in(connection: Connection, sql: str) -> set[str] | None:
    """Tables and views of ours whose names stand in a query; None where a view of somebody's own may read any."""
    words = {word.lower() for word in re.findall(r"\w+", sql)}
    ours = {*read_sql_files("tables"), *read_sql_files("stored"), *read_sql_files("views")}
    views = connection.execute("select lower(view_name) from duckdb_views() where not internal").fetchall()
    return None if words & ({name for (name,) in views} - ours) else words & ours


def _checked(connection: Connection, sql: str, values: Mapping[str, Any] | None) -> str:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigurationError(f"DuckDB cannot read this SQL: {whole_message(error)}") from error
    if len(statements) != 1:
        raise ConfigurationError(f"one statement at a time, this is {len(statements)}: run `query` once for each")
    try:
        return check_reading(connection, statements[0], values)
    except WritingError as error:
        raise ConfigurationError(
            f"`query` only reads and this is {error}: open the DuckDB file with the duckdb command line to change it"
        ) from error


def _parameters(named: SqlFile | None, params: Mapping[str, str], period: Period | None) -> dict[str, Any] | None:
    if named is None:
        return dict(params) or None
    unknown = sorted(set(params) - set(named.params))
    if unknown:
        known = ", ".join(named.params) or "none"
        raise ConfigurationError(f"the query {named.name} has no parameter {unknown[0]!r}; it has: {known}")
    reach = {name: _ALL for name in _REACH if period is not None and name in named.params}
    return {**named.params, **reach, **params} or None


def _limited(
    named: SqlFile | None, values: dict[str, Any] | None, look: Look
) -> tuple[dict[str, Any] | None, int | None]:
    """Values for SQL that gives as many rows as it takes, and how many of them are shown: sums are of all."""
    if named is None or "limit" not in named.params or not str((values or {})["limit"]).isdecimal():
        usual = SQL_ROWS if named is None and look.is_table else None
        return values, None if look.everything else usual if look.limit is None else look.limit
    wanted = int((values or {})["limit"]) if look.limit is None else look.limit
    if look.is_table and named.names("total"):
        return {**(values or {}), "limit": _ALL}, None if look.everything else wanted
    if look.everything:
        return {**(values or {}), "limit": _ALL}, None
    # One more than is shown tells whether there are more.
    return {**(values or {}), "limit": wanted + 1}, wanted
