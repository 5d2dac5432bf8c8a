"""What a warehouse file has, for tests that ask many small questions: a DuckDB of this process attaches it.

To start a DuckDB for each question takes longer than the question; most of what a test asks is one row.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import duckdb

from pipeline.sqlfiles.duck import Connection, quoted
from pipeline.warehouse.database import open_for_reading

# One warehouse at a time has the name by which DuckDB would know it if it were opened by itself; another that is looked
# into meanwhile is opened by itself.
_LOOKING = threading.RLock()
_NAME = "warehouse"
_attached: list[Path] = []


@contextmanager
def looking_into(path: Path, *, may_write: bool = False) -> Iterator[Connection]:
    """A connection in UTC, read-only unless it `may_write`; inside its block one more costs next to nothing.

    What cannot be attached is opened as the product opens it, or refused as it refuses it.
    """
    with _LOOKING, ExitStack() as stack:
        try:
            if _attached != [path]:
                stack.enter_context(_attaching(path, f"read_only {not may_write}"))
            connection = stack.enter_context(_shared().cursor())
            connection.execute(f"set TimeZone = 'UTC'; use {_NAME}")
        except duckdb.Error:
            connection = stack.enter_context(open_for_reading(path))
        yield connection


@contextmanager
def _attaching(path: Path, options: str) -> Iterator[None]:
    _shared().execute(f"attach {quoted(str(path))} as {_NAME} ({options})")
    _attached.append(path)
    try:
        yield
    finally:
        _attached.clear()
        _shared().execute(f"detach {_NAME}")


@cache
def _shared() -> Connection:
    return duckdb.connect()
