"""In-memory warehouses for tests: every table and view, and rows with defaults."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from pipeline.sqlfiles.price_book import read_price_book
from pipeline.sqlfiles.schema import refresh_prices
from pipeline.warehouse.ledger import post_touched_runs

SQL = Path(__file__).parents[1] / "sql"
NOON = "2024-11-20T12:00:00Z"
Row = dict[str, Any]

_RUN_DEFAULTS: Row = {
    "source": "main",
    "run_id": "run_1",
    "thread_id": "thread_1",
    "assistant_id": "asst_1",
    "object": "thread.run",
    "status": "completed",
    "model": "gpt-4o",
    "created_at": NOON,
    "sealed": True,
    "observed_at": NOON,
    "walk_id": "walk_runs",
    "page_index": 0,
}
_STEP_DEFAULTS: Row = {
    "source": "main",
    "step_id": "step_1",
    "run_id": "run_1",
    "thread_id": "thread_1",
    "assistant_id": "asst_1",
    "step_index": 0,
    "status": "completed",
    "created_at": NOON,
    "walk_id": "walk_steps",
    "page_index": 0,
}
_CALL_DEFAULTS: Row = {
    "source": "main",
    "step_id": "step_1",
    "call_index": 0,
    "run_id": "run_1",
    "thread_id": "thread_1",
    "type": "function",
    "name": "look_up",
}
_PRICE_DEFAULTS: Row = {
    "provider": "openai",
    "model": "gpt-4o",
    "valid_from": "2024-10-02",
    "input_usd_per_mtok": "2.50",
    "cached_input_usd_per_mtok": "1.25",
    "output_usd_per_mtok": "10.00",
    "source": "a test",
}
_WALK_DEFAULTS: Row = {
    "walk_id": "walk_1",
    "sync_id": "sync_1",
    "source": "main",
    "resource": "steps",
    "thread_id": "thread_1",
    "run_id": "run_1",
    "run_status": "completed",
    "first_index": 0,
    "pages": 1,
    "items": 1,
    "started_at": NOON,
    "ended_at": NOON,
    "ended_by": "has_more_false",
    "verdict": "complete",
    "part": "part_1",
}
_THREAD_DEFAULTS: Row = {
    "source": "main",
    "thread_id": "thread_1",
    "status": "synced",
    "run_count": 1,
    "first_seen_at": NOON,
}


@contextmanager
def rolled_back(con: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse that forgets what happened to it: a hundred times faster than a new one."""
    con.execute("begin")
    try:
        yield con
    finally:
        con.execute("rollback")
        con.execute("set TimeZone = 'UTC'")


def read_rows(con: duckdb.DuckDBPyConnection, query: str, params: Row | None = None) -> list[Row]:
    """Rows of a query as dicts. As a frame it would be planned twice, which is most of what a test takes."""
    rows = con.execute(query, params).fetchall()
    names = [name for name, *_ in con.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def read_value(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The only value of the only row of a query."""
    [row] = read_rows(con, query)
    [value] = row.values()
    return value


def add_run(con: duckdb.DuckDBPyConnection, **columns: Any) -> None:
    """A completed, sealed gpt-4o run."""
    _insert(con, "runs", _RUN_DEFAULTS | columns)


def add_step(con: duckdb.DuckDBPyConnection, **columns: Any) -> None:
    """A completed step without usage; tool calls are added apart."""
    _insert(con, "run_steps", _STEP_DEFAULTS | columns)


def add_call(con: duckdb.DuckDBPyConnection, **columns: Any) -> None:
    """A function call without arguments or output."""
    _insert(con, "tool_calls", _CALL_DEFAULTS | columns)


def add_price(con: duckdb.DuckDBPyConnection, **columns: Any) -> None:
    """The price of gpt-4o since 2024-10-02, named after its model and day."""
    row = _PRICE_DEFAULTS | columns
    _insert(con, "prices", {"price_id": f"{row['provider']}:{row['model']}:{row['valid_from']}"} | row)


def add_walk(con: duckdb.DuckDBPyConnection, **columns: Any) -> None:
    """A complete walk over the steps of a completed run."""
    _insert(con, "walks", _WALK_DEFAULTS | columns)


def add_thread(con: duckdb.DuckDBPyConnection, **columns: Any) -> None:
    """A synced thread."""
    _insert(con, "threads", _THREAD_DEFAULTS | columns)


def add_list_prices(con: duckdb.DuckDBPyConnection) -> None:
    """The prices that the product ships."""
    refresh_prices(con, read_price_book())


def add_list_fees(con: duckdb.DuckDBPyConnection) -> None:
    """The fees that the product ships, and no prices."""
    book = read_price_book()
    refresh_prices(con, replace(book, prices=book.prices.clear()))


def add_sync(con: duckdb.DuckDBPyConnection, **columns: Any) -> None:
    """A sync of the source that tells what the columns say."""
    _insert(con, "syncs", {"sync_id": "sync", "source": "main", "started_at": NOON, "pipeline_version": "1"} | columns)


def post_ledger(con: duckdb.DuckDBPyConnection) -> None:
    """Seal every run of the warehouse: its costs go into the ledger as a load would write them."""
    con.execute("create or replace temp table touched_runs as select source, thread_id, run_id from runs")
    post_touched_runs(con)


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: Row) -> None:
    names = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    con.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))
