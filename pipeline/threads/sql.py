"""Thread ids out of databases: a query of the user's own, and the registry of the warehouse."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.errors import ConfigurationError, WarehouseLockedError
from pipeline.protocol.endpoint import check_thread_id
from pipeline.sqlfiles.duck import Connection, first_line, quoted, read_frame, register, whole_message
from pipeline.sqlfiles.read_only import WritingError, attach_database, check_reading, lock_down
from pipeline.threads.decay import Decay
from pipeline.threads.selection import COLUMN
from pipeline.warehouse.database import find_holder, open_for_reading

_WAREHOUSE = re.compile(r"\bwarehouse\b", re.IGNORECASE)
_WHERE = "--threads-sql"
_BATCH_ROWS = 10_000

_KNOWN = "select thread_id from threads where source = $source order by first_seen_at, thread_id"

# A thread is passed over only when it was synced or is gone: then the registry knows its runs.
_RECENT = """
with thread_runs as (
    select thread_id, max(created_at) as youngest_run_at from runs where source = $source group by thread_id
)
select named_threads.thread_id
from named_threads
left join threads on threads.source = $source and threads.thread_id = named_threads.thread_id
left join thread_runs on thread_runs.thread_id = named_threads.thread_id
where coalesce(threads.status not in ('synced', 'missing'), true) or thread_runs.youngest_run_at >= $since
order by named_threads.position
"""

# A thread is left out while its time has not come: it is known to its end, and has not changed for long.
_DUE = """
with thread_runs as (
    select thread_id, bool_or(not sealed) as has_open,
        max(greatest(created_at, completed_at, failed_at, cancelled_at)) as last_change_at
    from runs where source = $source group by thread_id
),
ages as (
    select threads.thread_id, threads.last_synced_at,
        threads.last_synced_at - coalesce(thread_runs.last_change_at, threads.first_seen_at) as age
    from threads
    left join thread_runs using (thread_id)
    where threads.source = $source and threads.status in ('synced', 'missing')
        and not coalesce(thread_runs.has_open, false)
)
select named_threads.thread_id
from named_threads
left join ages using (thread_id)
where coalesce(
    epoch(age) < $cold_after_s or epoch($now - last_synced_at) >= least(epoch(age) * $share, $longest_s), true
)
order by named_threads.position
"""


def query_thread_ids(sql: str, warehouse: Path) -> Iterator[str]:
    """Ids that a SELECT of DuckDB gives: its column `thread_id`, else its only one; null is passed over.

    It runs in memory and changes nothing. It reads any file that DuckDB reads without an extension, our warehouse as
    `warehouse`, and other DuckDB files after `attach 'FILE' as NAME (read_only);` in front of it. Raises
    ConfigurationError for anything else.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        if _WAREHOUSE.search(sql) and warehouse.exists():
            _attach_warehouse(connection, warehouse)
        lock_down(connection)
        try:
            rows = _rows(connection, _checked(connection, sql))
            place = _place_of_ids([name for name, *_ in connection.description or ()])
            for number, row in enumerate(rows, 1):
                if row[place] is not None:
                    yield check_thread_id(str(row[place]).strip(), where=f"{_WHERE}, row {number}")
        except duckdb.Error as error:
            raise ConfigurationError(f"{_WHERE}: DuckDB cannot run this: {whole_message(error)}") from error


def known_thread_ids(warehouse: Path, *, source: str) -> Iterator[str]:
    """All threads of a source that the registry has, first seen first."""
    with open_for_reading(warehouse) as connection:
        for (thread_id,) in _rows(connection, _KNOWN, {"source": source}):
            yield thread_id


def recent_thread_ids(thread_ids: Sequence[str], warehouse: Path, *, source: str, since: datetime) -> list[str]:
    """Those of the threads that have a run since then or that were never synced, in the order given."""
    if not warehouse.exists():
        return list(thread_ids)
    with open_for_reading(warehouse) as connection:
        named = pl.DataFrame({COLUMN: thread_ids}, schema={COLUMN: pl.String}).with_row_index("position")
        register(connection, "named_threads", named)
        return read_frame(connection, _RECENT, {"source": source, "since": since})[COLUMN].to_list()


def due_thread_ids(
    thread_ids: Sequence[str], warehouse: Path, *, source: str, decay: Decay, now: datetime
) -> list[str]:
    """Those of the threads that the age rule wants asked for now, in the order given."""
    if not warehouse.exists():
        return list(thread_ids)
    with open_for_reading(warehouse) as connection:
        named = pl.DataFrame({COLUMN: thread_ids}, schema={COLUMN: pl.String}).with_row_index("position")
        register(connection, "named_threads", named)
        parameters = {
            "source": source,
            "now": now,
            "cold_after_s": decay.cold_after.total_seconds(),
            "share": decay.share,
            "longest_s": decay.longest.total_seconds(),
        }
        return read_frame(connection, _DUE, parameters)[COLUMN].to_list()


def _place_of_ids(columns: Sequence[str]) -> int:
    """Which of the columns has the ids."""
    if COLUMN not in columns and len(columns) > 1:
        raise ConfigurationError(f"{_WHERE}: of several columns none of them is named {COLUMN!r}: {', '.join(columns)}")
    return columns.index(COLUMN) if COLUMN in columns else 0


def _rows(connection: Connection, sql: str, parameters: object = None) -> Iterator[tuple[Any, ...]]:
    """The rows of a query as they come: there may be too many for memory. It is run at once."""
    connection.execute(sql, parameters)
    return (row for rows in iter(lambda: connection.fetchmany(_BATCH_ROWS), []) for row in rows)


def _checked(connection: Connection, sql: str) -> str:
    """The SELECT at the end, once the databases in front of it are attached."""
    statements = connection.extract_statements(sql)
    if not statements or statements[-1].type.name != "SELECT":
        found = statements[-1].type.name if statements else "nothing"
        raise ConfigurationError(f"{_WHERE} takes a SELECT and this is {found}")
    *before, last = statements
    try:
        for statement in before:
            attach_database(connection, statement)
    except WritingError as error:
        raise ConfigurationError(
            f"{_WHERE} only reads: in front of its SELECT there may be nothing but"
            f" attach 'FILE' as NAME (read_only); and this is {error}"
        ) from error
    try:
        return check_reading(connection, last)
    except WritingError as error:
        raise ConfigurationError(f"{_WHERE} only reads and this is {error}") from error


def _attach_warehouse(connection: Connection, warehouse: Path) -> None:
    try:
        connection.execute(f"attach {quoted(str(warehouse))} as warehouse (read_only)")
    except duckdb.Error as error:
        if (holder := find_holder(str(error))) is not None:
            raise WarehouseLockedError(
                f"the warehouse {warehouse} is held by {holder}: close it there, or wait"
            ) from error
        raise ConfigurationError(f"cannot open the warehouse {warehouse}: {first_line(error)}") from error
