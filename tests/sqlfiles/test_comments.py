"""Every table, view and column of a warehouse says what it is, from the headers of `sql/`."""

from pathlib import Path

import pytest

from pipeline.sqlfiles import schema
from pipeline.sqlfiles.catalog import parse_sql_file, read_sql_files
from pipeline.sqlfiles.schema import TABLE_KINDS, column_comment
from pipeline.warehouse import database
from pipeline.warehouse.database import open_for_reading, open_for_writing
from tests.ready_schema import ATTACH, WRITE_COMMENTS

HEADER = """-- Things that happen.
-- grain: source, thing_id
-- units: US dollars
-- verdict: good or bad
-- Each has a size_bytes of its own. paid is what it cost, seen_at when somebody saw it.
create table things (x varchar);
"""


def test_a_column_is_told_by_the_sentences_that_name_it_and_by_its_unit() -> None:
    things = parse_sql_file("things", HEADER)

    assert column_comment(things, "verdict").startswith("good or bad")
    assert column_comment(things, "size_bytes").endswith("a size_bytes of its own. Bytes.")
    assert column_comment(things, "paid") == "paid is what it cost, seen_at when somebody saw it."
    assert column_comment(things, "thread_id") == "Id of the thread, unique within its source."
    assert column_comment(things, "is_odd_one") == "Is odd one."


def test_a_warehouse_has_a_comment_on_everything_also_after_its_views_were_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "write_comments", WRITE_COMMENTS)
    monkeypatch.setattr(database, "_attach", ATTACH)
    path = tmp_path / "warehouse.duckdb"
    with open_for_writing(path, wait_s=1) as connection:
        connection.execute("update schema_version set views_sha256 = 'of another program'")
    with open_for_writing(path, wait_s=1):
        pass

    with open_for_reading(path) as connection:
        columns = "select count(*), count(comment) from duckdb_columns() where not internal and schema_name = 'main'"
        [(named, told)] = connection.execute(columns).fetchall()
        tables = connection.execute("select table_name, comment from duckdb_tables()").fetchall()
        views = connection.execute("select view_name, comment from duckdb_views() where not internal").fetchall()

    assert named == told > 500
    comments = dict(tables) | dict(views)
    for kind in (*TABLE_KINDS, "views"):
        for name, file in read_sql_files(kind).items():
            assert comments[name].startswith(file.summary), name
