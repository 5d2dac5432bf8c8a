"""A raw part that is there twice, as file synchronisers copy what they find in conflict, counts once everywhere."""

import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import raw_store
from pipeline.warehouse.checks import check_grains, run_checks
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from tests.attached import looking_into
from tests.lakes import Tables, assert_same, land_everything, read_lake, read_warehouse
from tests.publish_parts import publish

# Who copies, and what the copy is called: before and after the part, like a part, of another source.
COPIES = {
    "a synchroniser": "main/{name} (conflicted copy).parquet",
    "a person": "main/Copy of {name}.parquet",
    "a script": "main/{sync}-0-000999.parquet",
    "another source's folder": "other/{name}-again.parquet",
}


def copy_all(store: RawStore, name: str) -> list[Path]:
    copies = []
    for part in store.list_parts():
        path = store.folder / name.format(name=part.name, sync=f"{part.sync_id}{part.name[-6:]}")
        path.parent.mkdir(exist_ok=True)
        copies.append(Path(shutil.copy(store.path(part), path)))
    return copies


def counted(warehouse: Path) -> Tables:
    return without_parts(read_warehouse(warehouse))


def without_parts(tables: Tables) -> Tables:
    """Every table but what names the part that something was read from."""
    named = {"walks": "part", "billed_usage": "part"}
    return {name: frame.drop(named.get(name, [])) for name, frame in tables.items() if name != "loaded_parts"}


@pytest.mark.parametrize("name", COPIES.values(), ids=COPIES)
def test_a_copy_that_comes_later_or_with_its_part_counts_once(tmp_path: Path, name: str) -> None:
    store, warehouse = land_everything(tmp_path), warehouse_path(tmp_path)
    expected = counted(warehouse)
    copy_all(store, name)

    load_new_parts(store, warehouse, wait_s=5)
    later = counted(warehouse)
    rebuild(store, warehouse, wait_s=5)

    assert_same(later, expected)
    assert_same(counted(warehouse), expected)
    with looking_into(warehouse) as connection:
        assert check_grains(connection) == []
        assert "copied_parts" in [finding.name for finding in run_checks(connection)]


def test_a_copy_that_goes_takes_nothing_with_it(tmp_path: Path) -> None:
    store, warehouse = land_everything(tmp_path), warehouse_path(tmp_path)
    expected = counted(warehouse)
    with_walks = [part for part in store.list_parts() if store.read_part(part).walks]
    copies = [shutil.copy(store.path(part), store.path(PartName("main", f"{part.name} 2"))) for part in with_walks]
    load_new_parts(store, warehouse, wait_s=5)

    for copy in copies:
        Path(copy).unlink()
    rebuild(store, warehouse, wait_s=5)

    assert_same(counted(warehouse), expected)
    with looking_into(warehouse) as connection:
        assert "copied_parts" not in [finding.name for finding in run_checks(connection)]


def test_a_rebuild_heals_a_ledger_that_has_steps_twice(tmp_path: Path) -> None:
    store, warehouse = land_everything(tmp_path), warehouse_path(tmp_path)
    expected = counted(warehouse)
    assert len(expected["cost_ledger"]) > 0
    change(warehouse, "insert into cost_ledger select columns(*) from cost_ledger")

    rebuild(store, warehouse, wait_s=5)

    assert_same(counted(warehouse), expected)


def test_a_rebuild_of_a_warehouse_whose_ledger_knew_no_threads_keeps_what_runs_cost(tmp_path: Path) -> None:
    store, warehouse = land_everything(tmp_path), warehouse_path(tmp_path)
    change(warehouse, "update cost_ledger set cost_usd = 17, input_cost_usd = 17, price_id = 'of then'")
    expected = counted(warehouse)
    change(warehouse, "alter table cost_ledger drop column thread_id")
    change(warehouse, "update schema_version set version = 4")

    rebuild(store, warehouse, wait_s=5)

    assert_same({"ledger": prices_of(counted(warehouse))}, {"ledger": prices_of(expected)})


def prices_of(tables: Tables) -> pl.DataFrame:
    # Earlier versions had no row for what no step tells.
    return (
        tables["cost_ledger"]
        .filter(pl.col("step_id") != "")
        .select("source", "thread_id", "run_id", "step_id", "price_id")
    )


def change(warehouse: Path, sql: str) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(sql)


def test_a_lake_counts_a_copy_once(tmp_path: Path) -> None:
    land_everything(tmp_path)
    expected = counted(warehouse_path(tmp_path))
    publish(tmp_path, tmp_path / "lake")
    copy_all(raw_store(tmp_path), COPIES["a synchroniser"])

    publish(tmp_path, tmp_path / "lake")
    publish(tmp_path, tmp_path / "lake_at_once")

    for lake in ("lake", "lake_at_once"):
        assert_same(without_parts(read_lake(tmp_path / lake)), expected)
