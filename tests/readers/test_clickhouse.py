"""ClickHouse, which reads the log of a Delta lake by code of its own, finds the rows that we wrote."""

import io
import subprocess
from pathlib import Path

import polars as pl

from pipeline.sqlfiles.catalog import read_sql_files
from tests.lakes import land_everything, read_lake
from tests.publish_parts import publish
from tests.readers.test_readers import NEW

# ClickHouse reads the log by its own code unless it may use delta-kernel.
READ_TABLES = """
import sys, chdb
for name in sys.argv[1:]:
    read = f"select * from deltaLakeLocal('{name}') settings allow_delta_kernel_rs = 0"
    with open(f"{name}.read", "wb") as file:
        file.write(chdb.query(read, "Parquet").bytes())
"""


def test_clickhouse_reads_from_the_log_by_itself_the_rows_that_we_wrote(tmp_path: Path) -> None:
    land_everything(tmp_path / "data")
    # In many commits, so that files were replaced and removed.
    publish(tmp_path / "data", tmp_path / "lake", batch_bytes=6_000)
    expected = read_lake(tmp_path / "lake")
    named = [name for name, table in expected.items() if not table.is_empty()]

    subprocess.run([str(NEW), "-c", READ_TABLES, *named], cwd=tmp_path / "lake", check=True)

    for name in named:
        table, ours = read_sql_files("tables")[name], expected[name]
        read = pl.read_parquet(io.BytesIO((tmp_path / "lake" / f"{name}.read").read_bytes()))
        theirs = read.select(ours.columns).cast(ours.schema).sort(list(table.columns), nulls_last=True)
        assert theirs.equals(ours), (name, theirs, ours)
