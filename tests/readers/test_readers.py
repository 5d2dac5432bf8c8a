"""Those who read Delta tables find in ours, by filter, join, order and sum, what the warehouse has."""

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.lake.delta_tables import key_of
from pipeline.lake.store import Lake
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.warehouse.database import open_for_reading, warehouse_path
from tests.lake.test_publishing import reprice_at_own_prices
from tests.lakes import land_everything
from tests.publish_parts import publish
from tests.syncs import ROOT, run_cli

# What `make test-lake` installs.
NEW, OLD = (ROOT / ".readers" / name / "bin/python" for name in ("new", "deltalake-0.25"))
SCRIPT = Path(__file__).with_name("read_with.py")
READERS = {
    **dict.fromkeys(("pyarrow", "pandas", "daft", "polars", "datafusion", "chdb", "duckdb"), NEW),
    "deltalake-0.25 pyarrow": OLD,
    "deltalake-0.25 pandas": OLD,
}
NUMBERS = ("bigint", "decimal")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of row, and a thread that is forgotten once it has been published."""
    folder = tmp_path_factory.mktemp("data")
    land_everything(folder)
    # In many commits, so that files are written in place of others.
    publish(folder, folder / "lake", batch_bytes=6_000)
    reprice_at_own_prices(folder)
    run_cli(folder, "forget", "--thread", "thread_2", "--yes", "--data-dir", ".")
    publish(folder, folder / "lake")
    return folder


@pytest.fixture(scope="module", params=["as published", "optimized"])
def lake(data_dir: Path, request: pytest.FixtureRequest) -> Path:
    if request.param == "optimized":
        Lake(str(data_dir / "lake")).optimize()
    return data_dir / "lake"


@pytest.fixture(scope="module")
def warehouse(data_dir: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By table what is asked of it and what the warehouse says."""
    with open_for_reading(warehouse_path(data_dir)) as connection:
        return {name: ask(connection, name) for name in read_sql_files("tables")}


def ask(connection: Connection, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    table = read_sql_files("tables")[name]
    column = key_of(table)[-1] if len(key_of(table)) == 1 else key_of(table)[1]
    # Parts are smaller without what was forgotten; the lake knows them as they were.
    sums = [summed for summed, sql in table.columns.items() if sql.startswith(NUMBERS) and name != "loaded_parts"]
    found = read_frame(
        connection, f"select {column} as asked, {', '.join(sums) or '1 as one'} from {name} order by asked"
    )
    value = found["asked"].drop_nulls()[0]
    same = found["asked"].drop_nulls().value_counts()["count"]
    answer = {
        "rows": found.height,
        "filtered": found.filter(found["asked"] == value).height,
        "joined": int((same.cast(int) ** 2).sum()),
        "last": str(found["asked"].drop_nulls().max()),
        "sums": {summed: found[summed].sum() for summed in sums},
    }
    return {"column": column, "value": value, "sums": sums}, answer


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_finds_in_every_table_what_the_warehouse_has(
    reader: str, lake: Path, warehouse: dict[str, tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    asked = json.dumps({name: question for name, (question, _) in warehouse.items()})
    command = [str(READERS[reader]), str(SCRIPT), reader.split()[-1]]

    done = subprocess.run(command, cwd=lake, input=asked, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    for answer in found.values():
        answer["sums"] = {name: Decimal(value) for name, value in answer["sums"].items()}
    assert found == {name: answer for name, (_, answer) in warehouse.items()}
    assert all(answer["rows"] for answer in found.values())
