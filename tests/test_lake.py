"""The lake is the warehouse, whatever order parts come in, whoever else publishes, and whenever he is killed."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType

from pipeline.delta_tables import Change, LakeConflictError
from pipeline.errors import ConfigurationError, DamagedPartError, IncompleteError
from pipeline.lake import Lake, Snapshot
from pipeline.load import load_new_parts, rebuild
from pipeline.pricing import reprice
from pipeline.pruning import prune_parts
from pipeline.sync import raw_store, warehouse_path
from pipeline.warehouse import open_for_writing
from tests.lakes import assert_same, land_everything, read_lake, read_warehouse
from tests.landed import NOON, Listing, land, run_of
from tests.publish_parts import publish
from tests.syncs import ROOT, environ_for, run_cli, wait_until
from tests.test_load import HISTORY, land_history

# `LAKE_KILLS=100 pytest tests/test_lake.py -k killed_at_random` is the long form.
KILLS = int(os.environ.get("LAKE_KILLS", "2"))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    land_everything(folder)
    return folder


@pytest.fixture(scope="module")
def lake(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts in one batch."""
    folder = tmp_path_factory.mktemp("lake")
    publish(data_dir, folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five parts that nobody has loaded."""
    folder = tmp_path_factory.mktemp("small")
    land_history(raw_store(folder), HISTORY[2:5])
    return folder


def test_the_warehouse_the_lake_and_a_rebuild_from_raw_are_the_same_whole(
    data_dir: Path, lake: Path, tmp_path: Path
) -> None:
    shutil.copytree(data_dir, tmp_path / "data")
    rebuild(raw_store(tmp_path / "data"), warehouse_path(tmp_path / "data"), wait_s=0)

    tables = read_lake(lake)

    assert_same(tables, read_warehouse(warehouse_path(data_dir)))
    assert_same(tables, read_warehouse(warehouse_path(tmp_path / "data")))
    empty = {name for name, table in tables.items() if table.is_empty()}
    assert empty == {"code_interpreter_outputs", "file_search_results", "price_discounts", "repricings"}


@pytest.mark.parametrize("seed", [1])
def test_parts_published_one_by_one_in_any_order_give_the_same_lake(
    data_dir: Path, lake: Path, tmp_path: Path, seed: int
) -> None:
    store = raw_store(data_dir)
    parts = store.list_parts()
    random.Random(seed).shuffle(parts)
    for start in range(0, len(parts), 6):
        for part in parts[start : start + 6]:
            (tmp_path / "data" / "raw" / part.source).mkdir(parents=True, exist_ok=True)
            shutil.copy(store.path(part), raw_store(tmp_path / "data").path(part))
        publish(tmp_path / "data", tmp_path / "lake")

    assert_same(read_lake(tmp_path / "lake"), read_lake(lake))


def test_publishing_again_writes_nothing(data_dir: Path, lake: Path) -> None:
    versions = {name: table.version() for name, table in Lake(str(lake)).open().tables.items()}

    done = publish(data_dir, lake)

    assert done.parts == 0
    assert {name: table.version() for name, table in Lake(str(lake)).open().tables.items()} == versions


def test_of_two_that_have_read_the_same_state_only_one_may_write(small: Path, tmp_path: Path) -> None:
    publish(small, tmp_path)
    first, second = Lake(str(tmp_path)).open(), Lake(str(tmp_path)).open()
    rows = first.scan("threads").collect()
    new = rows.head(1).with_columns(thread_id=pl.lit("thread_new"))
    gone = rows.select("source", "thread_id")
    first.commit("threads", Change(new, gone.clear(), only_new=True), epoch=9)

    for change in (Change(new, gone.clear(), only_new=True), Change(rows.clear(), gone.head(1), only_new=False)):
        with pytest.raises(LakeConflictError):
            second.commit("threads", change, epoch=9)

    assert sorted(read_lake(tmp_path)["threads"]["thread_id"]) == sorted([*rows["thread_id"], "thread_new"])


def publisher(data_dir: Path, lake: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.publish_parts", str(data_dir), str(lake), "1"]
    return subprocess.Popen(command, cwd=ROOT, env=environ_for(), stderr=subprocess.DEVNULL)


def commits(lake: Path) -> int:
    return len(list(lake.glob("*/_delta_log/*.json")))


def test_two_publishers_killed_at_random_leave_exactly_one_copy_of_every_row(tmp_path: Path) -> None:
    """Each publishes part by part; in each round one of them dies after some commits, whoever made them."""
    dice = random.Random(5)
    data_dir, here = tmp_path / "data", tmp_path / "lake"
    land_history(raw_store(data_dir), HISTORY[2 : 5 + KILLS // 4])
    killed = 0
    running = [publisher(data_dir, here), publisher(data_dir, here)]
    try:
        while killed < KILLS and any(process.poll() is None for process in running):
            target = commits(here) + dice.randint(8, 24)
            wait_until(
                lambda target=target: commits(here) >= target or any(p.poll() is not None for p in running),  # type: ignore[misc]
                what="commits",
            )
            victim = dice.randrange(2)
            killed += running[victim].poll() is None
            running[victim].kill()
            running[victim].wait()
            running[victim] = publisher(data_dir, here)
        codes = [process.wait(60) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()

    publish(data_dir, here)
    assert codes == [0, 0]
    assert killed == KILLS
    load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)
    assert_same(read_lake(here), read_warehouse(warehouse_path(data_dir)))


class DiedError(Exception):
    pass


class DyingSnapshot(Snapshot):
    """Ends after the commit of one table."""

    def commit(self, name: str, change: Change, *, epoch: int, parts: Sequence[str] = ()) -> None:
        super().commit(name, change, epoch=epoch, parts=parts)
        if name == "tool_calls":
            raise DiedError


class DyingLake(Lake):
    """Its publishers die between two tables."""

    def open_for_writing(self) -> Snapshot:
        snapshot = super().open_for_writing()
        return DyingSnapshot(snapshot.place, snapshot.tables)


def test_what_a_dead_publisher_has_begun_the_next_one_ends(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DiedError):
        publish(small, DyingLake(str(tmp_path)), batch_bytes=1_000)
    assert Lake(str(tmp_path)).open().is_torn

    # A store without those parts cannot end them, and does not write beside them.
    store = raw_store(tmp_path / "other")
    land(store, Listing(30, [run_of("run_1")]), sync_id="sync_other")
    with pytest.raises(IncompleteError, match="which is not among these raw parts, is published only in part"):
        publish(tmp_path / "other", tmp_path, attempts=2)

    done = publish(small, tmp_path)

    # It waits a little first: the other one might be alive.
    assert done.refused == 3
    assert not Lake(str(tmp_path)).open().is_torn
    publish(small, tmp_path / "undisturbed")
    assert_same(read_lake(tmp_path), read_lake(tmp_path / "undisturbed"))


def test_columns_that_the_tables_have_got_since_are_added_to_the_lake(
    data_dir: Path, lake: Path, tmp_path: Path
) -> None:
    declared = DeltaTable(str(lake / "threads")).schema().fields
    older = [field for field in declared if field.name != "error"]
    DeltaTable.create(str(tmp_path / "threads"), schema=Schema(older), partition_by=["source"])

    publish(data_dir, tmp_path)

    assert_same(read_lake(tmp_path), read_lake(lake))


def test_columns_and_rows_of_others_stay_where_they_are(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)
    DeltaTable(str(copy / "runs")).alter.add_columns([Field("note", PrimitiveType("string"))])
    store = raw_store(tmp_path / "data")
    shutil.copytree(raw_store(data_dir).folder, store.folder)
    land(store, Listing(40, [run_of("run_1", "failed"), run_of("run_new")]), sync_id="sync_later")

    publish(tmp_path / "data", copy)

    notes = pl.scan_delta(str(copy / "runs")).select("run_id", "note").collect()
    assert (notes["run_id"].n_unique(), notes["note"].null_count()) == (5, 6)
    load_new_parts(store, warehouse_path(tmp_path / "data"), wait_s=0)
    assert_same(read_lake(copy), read_warehouse(warehouse_path(tmp_path / "data")))


def test_a_lake_of_another_version_is_refused(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)
    version = DeltaTable(str(copy / "schema_version"))
    version.update({"version": "1"})

    with pytest.raises(ConfigurationError, match="has schema version 1, this program works with"):
        publish(data_dir, copy)


def test_optimized_and_vacuumed_it_holds_the_same_in_fewer_files(small: Path, tmp_path: Path) -> None:
    publish(small, tmp_path, batch_bytes=1_000)
    here, expected = Lake(str(tmp_path)), read_lake(tmp_path)
    before = len(list(tmp_path.glob("*/**/part-*.parquet")))

    files = here.optimize()
    removed = here.vacuum(days=0)

    assert set(files.values()) == {0, 1}
    assert removed > 0
    assert len(list(tmp_path.glob("*/**/part-*.parquet"))) == sum(files.values()) < before
    assert_same(read_lake(tmp_path), expected)
    assert publish(small, tmp_path).parts == 0


def test_the_tables_say_what_they_are_and_what_their_keys_are(lake: Path) -> None:
    metadata = DeltaTable(str(lake / "tool_calls")).metadata()

    assert metadata.description == "Tool calls in the order of their step."
    assert metadata.partition_columns == ["source"]
    assert metadata.configuration["run-steps-pipeline.key"] == "source,step_id,call_index"
    assert [field.name for field in DeltaTable(str(lake / "tool_calls")).schema().fields if not field.nullable] == [
        "source",
        "step_id",
        "call_index",
        "run_id",
    ]


def test_the_log_holds_no_text_of_a_conversation(lake: Path) -> None:
    logs = "".join(path.read_text("utf-8") for path in lake.glob("*/_delta_log/*.json"))

    assert "a longer output" in read_lake(lake)["tool_calls"]["output"].to_list()
    assert "a longer output" not in logs


def test_what_was_repriced_in_the_warehouse_is_repriced_in_the_lake(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy, data = tmp_path / "lake", tmp_path / "data"
    shutil.copytree(lake, copy)
    shutil.copytree(data_dir, data)
    own = "model,valid_from,input_usd_per_mtok,output_usd_per_mtok\ngpt-4o,2020-01-01,7.00,9.00\n"
    (data / "own-prices.csv").write_text(own)
    with open_for_writing(warehouse_path(data), wait_s=0) as connection:
        reprice(connection, repricing_id="repricing_1", now=NOON)

    publish(data, copy)

    tables = read_lake(copy)
    assert tables["repricings"]["new_cost_usd"].to_list() != tables["repricings"]["old_cost_usd"].to_list()
    assert_same(tables, read_warehouse(warehouse_path(data)), without=["prices"])


def test_a_damaged_part_is_named_and_the_others_are_published(small: Path, tmp_path: Path) -> None:
    store = raw_store(tmp_path / "data")
    shutil.copytree(raw_store(small).folder, store.folder)
    damaged = store.list_parts()[-1]
    store.path(damaged).write_bytes(b"PAR1 but no more")

    with pytest.raises(DamagedPartError, match=f"1 raw parts are damaged and not in the lake: main/{damaged.name}"):
        publish(tmp_path / "data", tmp_path / "lake")

    held = read_lake(tmp_path / "lake")["loaded_parts"]["part"]
    assert set(held) == {part.name for part in store.list_parts()} - {damaged.name}


def test_parts_that_were_pruned_before_they_were_published_are_missed(data_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(data_dir, data)
    later = NOON + timedelta(days=1)
    prune_parts(raw_store(data), warehouse_path(data), before=later, now=later, wait_s=0)
    land(raw_store(data), Listing(50, [run_of("run_7")]), sync_id="sync_kept")

    with pytest.raises(ConfigurationError, match="would lack what 23 raw parts held that were pruned"):
        publish(data, tmp_path / "lake")
    publish(data, tmp_path / "lake", without_pruned=True)

    assert read_lake(tmp_path / "lake")["runs"]["run_id"].to_list() == ["run_7"]


def test_threads_that_were_forgotten_leave_the_lake_too(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy, data = tmp_path / "lake", tmp_path / "data"
    shutil.copytree(lake, copy)
    shutil.copytree(data_dir, data)
    run_cli(tmp_path, "forget", "--thread", "thread_1", "--yes", "--data-dir", "data")

    publish(data, copy)

    tables = read_lake(copy)
    # What is left is what the warehouse has left; parts were written anew, and are as large as they are now.
    assert_same(tables, read_warehouse(warehouse_path(data)), without=["loaded_parts"])
    assert tables["threads"]["thread_id"].to_list() == ["thread_2", "thread_3"]
    assert not Lake(str(copy)).open().is_torn
