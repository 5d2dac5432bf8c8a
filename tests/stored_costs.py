"""What views say with costs that are stored, beside what they say when nothing is stored and all is worked out."""

import shutil
from pathlib import Path

import duckdb

from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import quoted

Views = dict[str, list[str]]
# Those that read what is stored; all others are made from them.
READERS = ("usage_costs", "tool_call_costs", "tool_usage", "tool_failures")


def read_views(warehouse: Path, *, stored: bool) -> Views:
    """The rows of views as sorted texts; without `stored` of a copy in which nothing is stored."""
    copy = warehouse.with_name("copy.duckdb")
    shutil.copy(warehouse, copy)
    with duckdb.connect() as connection:
        connection.execute(f"attach {quoted(str(copy))} as copy")
        connection.execute("use copy")
        connection.execute("set TimeZone = 'UTC'")
        if not stored:
            for table in read_sql_files("stored"):
                connection.execute(f"delete from {table}")
        return {name: sorted(map(repr, connection.execute(f"from {name}").fetchall())) for name in READERS}


def count_stored(warehouse: Path) -> tuple[int, int, int]:
    """How many runs, steps and rests, and tool calls are stored."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        counts = "(select count(*) from stored_runs), (select count(*) from stored_costs)"
        [found] = connection.execute(f"select {counts}, (select count(*) from stored_calls)").fetchall()
        runs, costs, calls = found
        return runs, costs, calls
