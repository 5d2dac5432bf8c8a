"""Warehouses of tests begin as copies of one that this process has made, without comments; in memory, too.

To make each anew takes longer than what most tests do with it. Programs that tests start by themselves make theirs.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

from pipeline.sqlfiles import schema
from pipeline.sqlfiles.duck import Connection
from pipeline.sqlfiles.price_book import read_price_book
from pipeline.warehouse import database

WRITE_COMMENTS = schema.write_comments
ATTACH = database._attach
_NUMBERS = count()


def begin_with_copies() -> None:
    """In this process and its forks, from here on; tests/sqlfiles/test_comments.py makes one from nothing."""
    schema.write_comments = _write_none
    database._attach = _attach
    # For all that is imported after this.
    schema.open_in_memory = _open_in_memory


def make_ready() -> None:
    """Make what is copied now, so that forks need not."""
    _made()


def _attach(path: Path, *, unlogged: bool = False, in_background: bool = False) -> Connection:
    if not path.exists():
        shutil.copy(_made(), path)
        path.chmod(0o600)
    return ATTACH(path, unlogged=unlogged, in_background=in_background)


@cache
def folder_of_originals() -> Path:
    """A folder of this process for what its tests copy."""
    return Path(tempfile.mkdtemp(prefix="ready-"))


def remove_originals() -> None:
    """At the end of this process, but not of its forks."""
    if folder_of_originals.cache_info().currsize:
        shutil.rmtree(folder_of_originals(), ignore_errors=True)


@cache
def _made() -> Path:
    path = folder_of_originals() / "warehouse.duckdb"
    with ATTACH(path) as connection:
        connection.execute("use warehouse")
        schema.make_warehouse(connection)
        schema.refresh_prices(connection, read_price_book())
        connection.execute("checkpoint warehouse")
    return path


@contextmanager
def _open_in_memory(*, views: Sequence[str] | None = None) -> Iterator[Connection]:
    original, name = _made_in_memory(None if views is None else tuple(views)), f"copy_{next(_NUMBERS)}"
    try:
        with original.cursor() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach ':memory:' as {name}")
            connection.execute(f"copy from database memory to {name}")
            connection.execute(f"use {name}")
            yield connection
    finally:
        with original.cursor() as other:
            other.execute(f"detach {name}")


@cache
def _made_in_memory(views: tuple[str, ...] | None) -> Connection:
    return schema.connect_in_memory(views=views)


def _write_none(connection: Connection, *kinds: str) -> None:
    pass
