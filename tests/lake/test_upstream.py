"""Faults of libraries that we work around (docs/upstream.md): a test that fails here says that one of them is gone."""

import os
import re
import time
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from tests.syncs import ROOT

TEXTS = pl.DataFrame({"id": ["a", "b"]})


def types_in(table: DeltaTable) -> set[str]:
    return {str(field.type) for uri in table.file_uris() for field in pq.read_schema(uri)}


def test_a_frame_of_polars_still_becomes_string_views(tmp_path: Path) -> None:
    write_deltalake(tmp_path, TEXTS)

    assert types_in(DeltaTable(tmp_path)) == {"string_view"}


def test_a_delete_still_writes_string_views(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"id": ["a", "b"]}))
    table = DeltaTable(tmp_path)
    before = types_in(table)

    table.delete("id = 'a'")

    assert (before, types_in(table)) == ({"string"}, {"string_view"})


def test_pyarrow_still_compares_no_text_with_a_string_view() -> None:
    with pytest.raises(pa.ArrowNotImplementedError, match="string_view"):
        pc.equal(pa.array(["a"], pa.string_view()), pa.array(["a"], pa.string()))


def test_a_log_is_still_cleaned_by_the_time_stamps_of_files(tmp_path: Path) -> None:
    write_deltalake(tmp_path, TEXTS, configuration={"delta.logRetentionDuration": "interval 1 hours"})
    for _ in range(2):
        write_deltalake(tmp_path, TEXTS, mode="append")
    for path in (tmp_path / "_delta_log").glob("*.json"):
        os.utime(path, (0, 0))
    table = DeltaTable(tmp_path)
    said = [commit["timestamp"] for commit in table.history()]
    table.create_checkpoint()

    table.cleanup_metadata()

    # By what they say themselves all are of this hour.
    assert min(said) > 1000 * (time.time() - 3600)
    assert len(list((tmp_path / "_delta_log").glob("*.json"))) < len(said)


def test_a_product_of_narrow_decimals_is_still_an_error() -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error):
        connection.sql("select 900000000000.000001::decimal(18, 6) * 900.000001::decimal(9, 6)").fetchall()


def test_the_json_path_of_an_empty_name_is_still_refused() -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error):
        connection.sql("""select json_extract('{"": 1}', '$.""')""").fetchall()


def test_the_end_of_a_day_is_still_null_in_polars() -> None:
    with duckdb.connect() as connection:
        assert connection.sql("select time '24:00:00' as at").pl()["at"].to_list() == [None]


def test_no_condition_is_still_an_error_in_polars() -> None:
    with pytest.raises(pl.exceptions.PolarsError):
        TEXTS.lazy().filter([]).collect()


def test_every_test_and_script_that_the_document_names_exists() -> None:
    page = (ROOT / "docs/upstream.md").read_text("utf-8")
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))

    named = re.findall(r"`(test_\w+)`", page)
    assert [name for name in named if f"def {name}(" not in tests] == []
    assert [name for name in re.findall(r"`(findings/\S+\.sh)`", page) if not (ROOT / name).exists()] == []
    assert len(named) > 8
