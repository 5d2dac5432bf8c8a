"""Tables, views and the price book that they read: made where there are none, views also where they are others.

Comments on them come from the headers of `sql/`: other programs show them beside the names.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import duckdb

from pipeline import __version__
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files, read_stand_ins, views_in_order
from pipeline.sqlfiles.duck import Connection, quoted, read_frame, register, unregister

if TYPE_CHECKING:
    from pipeline.sqlfiles.price_book import PriceBook

SCHEMA_VERSION = 9
# Tables, and those that hold what views would otherwise work out. A lake has the former only.
TABLE_KINDS = ("tables", "stored")
# Of comments: fields of headers that are none, and ends of sentences.
_FIELDS = frozenset({"grain", "units", "reads", "params", "severity", "sum"})
_SENTENCE_END = re.compile(r"(?<=[.;]) +")
# Names that mean the same wherever they stand, unless a header has a line for one.
_EVERYWHERE = {
    "source": "The profile or archive that the row is from; ids are unique only within it.",
    "thread_id": "Id of the thread, unique within its source.",
    "run_id": "Id of the run, unique within its thread.",
    "step_id": "Id of the step, unique within its run; empty for what no step tells.",
    "call_index": "Place of the tool call in its step, from 0.",
    "step_index": "Place of the step in its run, from 0.",
    "assistant_id": "Id of the assistant, or of the agent, that ran.",
    "model": "The model as the server names it.",
    "type": "The kind of it, as the server names it.",
    "name": "The name that the server gives it.",
    "status": "The state that the server last told.",
    "metadata": "What the caller stored with it, as JSON.",
    "extra": "Fields that no column has, as JSON.",
    "part": "The raw part that the row came from.",
    "walk_id": "The walk that the row came from.",
    "page_index": "The page of the walk that the row came from, from 0.",
}
# By the end of a name: its unit.
_UNITS = {
    "_usd_per_mtok": "US dollars per million tokens.",
    "_usd": "US dollars, exact.",
    "_tokens": "Tokens, as the server counted them.",
    "_at": "An instant in UTC.",
    "_on": "A UTC date.",
    "_bytes": "Bytes.",
    "_s": "Seconds.",
}


def refresh_prices(connection: Connection, book: "PriceBook") -> None:
    """Make the price book the one that the views read, where it is another; the ledger stays as it is."""
    for table, frame in (("prices", book.prices), ("price_discounts", book.discounts), ("fees", book.fees)):
        if read_frame(connection, f"select {', '.join(frame.columns)} from {table}").equals(frame):
            continue
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


def write_comments(connection: Connection, *kinds: str) -> None:
    """Comment on all that the files of these kinds (tables, stored, views) make, and on each of its columns."""
    columns: dict[str, list[str]] = dict(
        connection.execute(
            "select table_name, list(column_name order by column_index) from duckdb_columns()"
            " where database_name = current_database() group by table_name"
        ).fetchall()
    )
    statements = []
    for kind in kinds:
        word = "view" if kind == "views" else "table"
        for name, file in read_sql_files(kind).items():
            statements.append(f"comment on {word} {name} is {quoted(_prose(file))}")
            statements += [
                f"comment on column {name}.{column} is {quoted(column_comment(file, column))}"
                for column in columns[name]
            ]
    # One text takes a third less time than as many as there are columns.
    connection.execute(";".join(statements))


def column_comment(file: SqlFile, column: str) -> str:
    """What a header says of a column: the sentences that name it; else what its name means everywhere."""
    told = [file.fields[column]] if column in file.fields.keys() - _FIELDS else []
    if column not in _EVERYWHERE:
        told += [text for text in _sentences(_prose(file)) if column in text and re.search(rf"\b{column}\b", text)]
    unit = next((text for ending, text in _UNITS.items() if column.endswith(ending)), "")
    words = " ".join(dict.fromkeys(told)) or _EVERYWHERE.get(column, "")
    return " ".join(filter(None, (words, unit))) or column.replace("_", " ").capitalize() + "."


@lru_cache(maxsize=1)
def _sentences(prose: str) -> list[str]:
    """Of one file after another, for each of its columns."""
    return _SENTENCE_END.split(prose)


def _prose(file: SqlFile) -> str:
    """The header as a text, without its fields but the units."""
    lines = []
    for line in file.text.splitlines():
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        if text.partition(":")[0] not in _FIELDS:
            lines.append(text)
    if units := file.fields.get("units"):
        lines.append(f"Units: {units}.")
    return " ".join(lines)


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
