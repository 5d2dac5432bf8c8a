"""Tables, views and the price book that they read: made where there are none, views also where they are others."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import duckdb

from pipeline import __version__
from pipeline.sqlfiles.catalog import read_sql_files, read_stand_ins, views_in_order
from pipeline.sqlfiles.comments import write_comments
from pipeline.sqlfiles.duck import Connection, register, unregister

if TYPE_CHECKING:
    from pipeline.sqlfiles.price_book import PriceBook

SCHEMA_VERSION = 9
# Tables, and those that hold what views would otherwise work out. A lake has the former only.
TABLE_KINDS = ("tables", "stored")


def refresh_prices(connection: Connection, book: "PriceBook") -> None:
    """Make the price book the one that the views read; the ledger stays as it is."""
    for table, frame in (("prices", book.prices), ("price_discounts", book.discounts), ("fees", book.fees)):
        register(connection, "price_book", frame)
        connection.execute(f"delete from {table}")
        connection.execute(f"insert into {table} by name select columns(*) from price_book")
        unregister(connection, "price_book")


def create_schema(connection: Connection, *, views: Sequence[str] | None = None) -> None:
    """All tables and views (or only these and what they read), in a database that has none."""
    for kind in TABLE_KINDS:
        for table in read_sql_files(kind).values():
            connection.execute(table.text)
    _create_views(connection, named=views)


def make_warehouse(connection: Connection) -> None:
    """All tables and views with comments on them, in a database that has none, and which schema this is."""
    create_schema(connection)
    write_comments(connection, *TABLE_KINDS, "views")
    record_version(connection)


def record_version(connection: Connection) -> None:
    """Note in a schema that was just made which one it is."""
    row = [SCHEMA_VERSION, __version__, digest_views()]
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
    if connection.execute("select views_sha256 from schema_version").fetchall() != [(digest_views(),)]:
        _create_views(connection)
        write_comments(connection, "views")
        connection.execute("update schema_version set views_sha256 = ?", [digest_views()])


def _create_views(connection: Connection, *, named: Sequence[str] | None = None) -> None:
    in_order = views_in_order()
    wanted = {view.name for view in in_order} if named is None else set(named)
    # From the last to the first: each is known to be wanted before what it reads is looked at.
    for view in reversed(in_order):
        wanted |= set(view.reads) if view.name in wanted else set()
    for macro in read_sql_files("macros").values():
        connection.execute(macro.text)
    digest, stand_ins = read_stand_ins()
    if digest == digest_views():
        # DuckDB plans a view and all below it to make it: over stand-ins that takes a fifth of the time.
        for name in stand_ins.keys() & wanted:
            connection.execute(stand_ins[name])
        in_order.reverse()
    for view in in_order:
        if view.name in wanted:
            connection.execute(view.text)


def digest_views() -> str:
    """What tells whether views were made from these very files."""
    files = [*read_sql_files("macros").values(), *views_in_order()]
    return hashlib.sha256("".join(file.text for file in files).encode()).hexdigest()
