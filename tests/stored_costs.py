"""What views say with costs that are stored, beside what they say when nothing is stored and all is worked out."""

import shutil
from pathlib import Path

from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.held_views import holding_views
from tests.attached import looking_into

Views = dict[str, list[str]]
# Those that read what is stored; all others are made from them.
READERS = ("usage_costs", "tool_call_costs", "tool_usage", "tool_failures")


def read_views(warehouse: Path, *, stored: bool) -> Views:
    """The rows of views as sorted texts; without `stored` of a copy in which nothing is stored."""
    if not stored:
        warehouse = Path(shutil.copy(warehouse, warehouse.with_name("copy.duckdb")))
    with looking_into(warehouse, may_write=not stored) as connection:
        if not stored:
            for table in read_sql_files("stored"):
                connection.execute(f"delete from {table}")
        with holding_views(connection, [read_sql_files("views")[name] for name in READERS]):
            return {name: sorted(map(repr, connection.execute(f"from {name}").fetchall())) for name in READERS}


def count_stored(warehouse: Path) -> tuple[int, int, int]:
    """How many runs, steps and rests, and tool calls are stored."""
    with looking_into(warehouse) as connection:
        counts = "(select count(*) from stored_runs), (select count(*) from stored_costs)"
        [found] = connection.execute(f"select {counts}, (select count(*) from stored_calls)").fetchall()
        runs, costs, calls = found
        return runs, costs, calls
