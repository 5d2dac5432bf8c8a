"""Tables, views and the price book that they read: made where there are none, views also where they are others."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence

import duckdb

from pipeline import __version__
from pipeline.sqlfiles.catalog import read_sql_files, views_in_order
from pipeline.sqlfiles.duck import Connection, read_frame, register, unregister
from pipeline.sqlfiles.price_book import PriceBook

SCHEMA_VERSION = 8


def refresh_prices(connection: Connection, book: PriceBook) -> None:
    """Make the price book the one that the views read; the ledger stays as it is."""
    for table, frame in (("prices", book.prices), ("price_discounts", book.discounts), ("fees", book.fees)):
        register(connection, "price_book", frame)
        connection.execute(f"delete from {table}")
        connection.execute(f"insert into {table} by name select columns(*) from price_book")
        unregister(connection, "price_book")


def create_schema(connection: Connection, *, views: Sequence[str] | None = None) -> None:
    """All tables and views (or only these and what they read), in a database that has none."""
    for table in read_sql_files("tables").values():
        connection.execute(table.text)
    _create_views(connection, named=views)


def record_version(connection: Connection) -> None:
    """Note in a schema that was just made which one it is."""
    row = [SCHEMA_VERSION, __version__, _digest_views()]
    connection.execute("insert into schema_version values (?, ?, ?)", row)


def connect_in_memory(*, views: Sequence[str] | None = None) -> Connection:
    """A warehouse that is nowhere on disk, with every table and view (or only these views) and nothing in them."""
    connection = duckdb.connect(":memory:")
    connection.execute("set TimeZone = 'UTC'")
    create_schema(connection, views=views)
    return connection


@contextlib.contextmanager
def open_in_memory(*, views: Sequence[str] | None = None) -> Iterator[Connection]:
    """The same, until the end of the block."""
    with connect_in_memory(views=views) as connection:
        yield connection


def renew_views(connection: Connection) -> None:
    """Make the views anew where a program of the same schema had others."""
    if read_frame(connection, "select views_sha256 from schema_version").item() != _digest_views():
        _create_views(connection)
        connection.execute("update schema_version set views_sha256 = ?", [_digest_views()])


def _create_views(connection: Connection, *, named: Sequence[str] | None = None) -> None:
    in_order = views_in_order()
    wanted = {view.name for view in in_order} if named is None else set(named)
    # From the last to the first: each is known to be wanted before what it reads is looked at.
    for view in reversed(in_order):
        wanted |= set(view.reads) if view.name in wanted else set()
    for macro in read_sql_files("macros").values():
        connection.execute(macro.text)
    for view in in_order:
        if view.name in wanted:
            connection.execute(view.text)


def _digest_views() -> str:
    files = [*read_sql_files("macros").values(), *views_in_order()]
    return hashlib.sha256("".join(file.text for file in files).encode()).hexdigest()
