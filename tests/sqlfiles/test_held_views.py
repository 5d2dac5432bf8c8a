"""While views are held as tables every reader sees what it saw without, and the connection is afterwards as before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.emulator import running_emulator
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files, views_in_order
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.sqlfiles.held_views import holding_views
from pipeline.warehouse.database import open_for_reading
from tests.syncs import Rows, sync_here

VIEWS = views_in_order()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("data")
    with running_emulator(threads=20, phase=0) as server:
        sync_here(server, data_dir)
    return data_dir / "warehouse.duckdb"


@pytest.fixture
def con(warehouse: Path) -> Iterator[Connection]:
    with open_for_reading(warehouse) as connection:
        yield connection


def read_sorted(con: Connection, view: SqlFile) -> Rows:
    return read_frame(con, f"select * from {view.name} order by all").rows()


def temporary(con: Connection) -> set[str]:
    tables = "select table_name from duckdb_tables() where database_name = 'temp'"
    views = "select view_name from duckdb_views() where database_name = 'temp' and not internal"
    return {str(name) for (name,) in con.execute(f"{tables} union {views}").fetchall()}


def test_every_view_has_the_same_rows_while_it_and_what_it_reads_are_held(con: Connection) -> None:
    free = {view.name: read_sorted(con, view) for view in VIEWS}

    with holding_views(con, [*VIEWS, *read_sql_files("checks").values()]):
        held = {view.name: read_sorted(con, view) for view in VIEWS}
        made = temporary(con)

    assert held == free
    assert made == free.keys()
    assert sum(bool(rows) for rows in free.values()) > len(VIEWS) / 2
    assert temporary(con) == set()


def test_only_what_is_read_twice_below_the_readers_is_a_table(con: Connection) -> None:
    readers = [read_sql_files("views")[name] for name in ("daily_spend", "assistant_spend")]

    with holding_views(con, readers):
        tables = {
            str(name) for (name,) in con.execute("select table_name from duckdb_tables() where temporary").fetchall()
        }
        made = temporary(con)

    assert {"usage_costs", "tool_fees"} <= tables
    assert {"spending", "run_costs", "daily_spend"} <= made - tables
    assert "tool_call_costs" not in made


def test_a_block_inside_another_and_one_that_ends_in_an_error_leave_nothing(con: Connection) -> None:
    def fail_inside() -> None:
        with holding_views(con, VIEWS):
            with holding_views(con, VIEWS):
                pass
            assert "usage_costs" in temporary(con)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()

    assert temporary(con) == set()
