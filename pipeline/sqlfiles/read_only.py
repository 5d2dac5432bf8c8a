"""Statements of others that only read: told by their kind and by their plan, on a connection that loads nothing.

Neither kind nor a read-only database is enough. A SELECT can write files: through functions such as `enable_logging`,
and in DuckDB 2.0 through a COPY that stands in its WITH.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.duck import Connection, quoted

_LOCKED = """
set autoinstall_known_extensions = false;
set autoload_known_extensions = false;
set python_enable_replacements = false;
set lock_configuration = true;
"""
_LINE = re.compile(r"^LINE (\d+): ", re.MULTILINE)
_SPACE = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_EXPLAIN = re.compile(
    rf"{_SPACE}explain\b{_SPACE}(?P<options>analyze\b|\([\w\s,]*\)|)(?P<explained>.*)", re.IGNORECASE | re.DOTALL
)
_ATTACH = re.compile(
    rf"{_SPACE}attach\s+(?:database\s+)?'(?P<file>(?:[^']|'')+)'\s+as\s+(?P<name>\w+|\"(?:[^\"]|\"\")+\")"
    r"\s*\(\s*read_only(?:\s+true)?\s*\)[\s;]*",
    re.IGNORECASE,
)
# Operators of a plan that change something or leave the database; all others read.
_CHANGING = re.compile(
    r"(BATCH_|FIXED_BATCH_)?(COPY|INSERT|DELETE|UPDATE|MERGE|CREATE|ALTER|DROP|TRUNCATE|ATTACH|DETACH|LOAD|SET$|RESET"
    r"|PRAGMA|EXPORT|VACUUM|TRANSACTION|CHECKPOINT|PREPARE|EXECUTE)"
)
# Functions that give rows and do nothing but read, files too. A new one is refused until it is here.
_READING = re.compile(
    r"read_(csv|csv_auto|parquet|json|json_auto|json_objects|json_objects_auto|ndjson|ndjson_auto|ndjson_objects|text"
    r"|blob|duckdb)|parquet_\w+|sniff_csv|glob|duckdb_\w+|pragma_\w+|json_each|json_tree|generate_series|range|repeat"
    r"|repeat_row|unnest|seq_scan|query|query_table|summary|icu_calendar_names|pg_timezone_names|which_secret"
    r"|test_all_types|test_vector_types|arrow_scan|arrow_scan_dumb|python_arrow_scan|python_map_function|pandas_scan"
)


def lock_down(connection: Connection) -> None:
    """From here on the connection loads no extension, sees no variables of Python, and no setting can be changed."""
    connection.execute(_LOCKED)


class WritingError(Exception):
    """A statement that could do more than read; the text says what it is."""


def check_reading(
    connection: Connection, statement: duckdb.Statement, parameters: Mapping[str, Any] | None = None
) -> str:
    """A SELECT, or the EXPLAIN of one, as it may be run. Raises WritingError for whatever could write.

    DuckDB's own error is raised for what it cannot plan.
    """
    kind = statement.type.name
    if kind == "SELECT":
        _check_plan(connection, statement.query, parameters)
        return statement.query
    if kind != "EXPLAIN":
        raise WritingError(kind)
    found = _EXPLAIN.fullmatch(statement.query)
    try:
        explained = connection.extract_statements(found["explained"]) if found else []
    except duckdb.Error:
        explained = []
    if found is None or len(explained) != 1 or explained[0].type.name != "SELECT":
        raise WritingError("EXPLAIN of what is no SELECT")
    _check_plan(connection, explained[0].query, parameters)
    # Put together anew: nothing is run that was not looked at.
    return f"explain {found['options']} {explained[0].query}"


def attach_database(connection: Connection, statement: duckdb.Statement) -> None:
    """Attach the database file that an ATTACH names, by us and to read. Raises WritingError for any other form.

    DuckDB takes a READ_ONLY that stands in a comment, or in a file's name, for none, and makes the file.
    """
    found = _ATTACH.fullmatch(statement.query)
    if statement.type.name != "ATTACH" or found is None:
        raise WritingError(statement.type.name)
    path = Path(found["file"].replace("''", "'"))
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    connection.execute(f"attach {quoted(str(path))} as {found['name']} (type duckdb, read_only)")


def _check_plan(connection: Connection, sql: str, parameters: Mapping[str, Any] | None) -> None:
    try:
        rows = connection.execute(f"explain (format json)\n{sql}", parameters).fetchall()
    except duckdb.Error as error:
        # The lines as they were typed: one less.
        told = _LINE.sub(lambda line: f"LINE {int(line[1]) - 1}: ", str(error))
        raise type(error)(told) from error
    operators = {name for _, plan in rows for name in _operators(json.loads(plan))}
    tables = "select distinct function_name as name from duckdb_functions() where function_type in ('table', 'pragma')"
    functions = {name.lower() for (name,) in connection.execute(tables).fetchall()}
    for name in sorted(operators):
        reads = _READING.fullmatch(name.lower()) if name.lower() in functions else not _CHANGING.match(name)
        if not reads:
            raise WritingError(f"{name}, which does more than read")


def _operators(plan: Any) -> Iterator[str]:
    if isinstance(plan, list):
        for node in plan:
            yield from _operators(node)
    elif isinstance(plan, dict):
        yield str(plan.get("name", "")).strip()
        yield from _operators(plan.get("children", []))
