"""Views that stand in for others while these are made: of the same columns and types."""

import duckdb

from pipeline.sqlfiles.catalog import read_sql_files, views_in_order
from pipeline.sqlfiles.schema import TABLE_KINDS, connect_in_memory
from scripts.write_stand_ins import STAND_INS, stand_ins


def test_the_file_is_what_the_command_writes() -> None:
    assert STAND_INS.read_text("utf-8") == stand_ins(), "python -m scripts.write_stand_ins"


def test_views_made_over_stand_ins_are_those_made_one_over_the_other() -> None:
    with duckdb.connect() as slow, connect_in_memory() as fast:
        for kind in (*TABLE_KINDS, "macros"):
            for file in read_sql_files(kind).values():
                slow.execute(file.text)
        for view in views_in_order():
            slow.execute(view.text)
            described = f"describe {view.name}"

            assert fast.execute(described).fetchall() == slow.execute(described).fetchall(), view.name
            assert fast.execute(f"from {view.name}").fetchall() == [], view.name
