"""The lake is the warehouse, whatever order parts come in, whoever else publishes, and whenever he is killed."""

import os
import random
import re
import shutil
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pytest
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
from deltalake.schema import PrimitiveType

from pipeline.errors import ConfigurationError, DamagedPartError, IncompleteError
from pipeline.lake import table_writes
from pipeline.lake.delta_tables import LakeConflictError
from pipeline.lake.reading import TORN, connect_lake
from pipeline.lake.store import Lake, Snapshot
from pipeline.lake.table_writes import Change
from pipeline.money.repricing import reprice
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.schema import SCHEMA_VERSION
from pipeline.warehouse.database import open_for_writing, warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.loaded_parts import prune_parts
from tests.grown_lake import RUNS_PER_THREAD, grow_lake, measure_publish, thread_at
from tests.lakes import assert_same, read_lake, read_warehouse
from tests.landed import NOON, Listing, instant, land, run_of, step_of
from tests.publish_parts import publish
from tests.syncs import PATIENCE_S, run_cli, wait_until
from tests.warehouse.test_load import HISTORY, land_history

# `LAKE_KILLS=100 pytest tests/lake/test_publishing.py -k killed_at_random` is the long form.
KILLS = int(os.environ.get("LAKE_KILLS", "2"))


def reprice_at_own_prices(data_dir: Path) -> None:
    """A price and a discount of one's own, and the ledger at them."""
    lines = ["model,valid_from,input_usd_per_mtok,output_usd_per_mtok,discount", "gpt-4o,2020-01-01,7.00,9.00,"]
    (data_dir / "own-prices.csv").write_text("\n".join([*lines, "gpt-4.1*,2020-01-01,,,0.5", ""]))
    with open_for_writing(warehouse_path(data_dir), wait_s=0) as connection:
        reprice(connection, repricing_id="repricing_1", now=NOON)


@pytest.fixture(scope="module")
def forgetful(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same data folder after it has forgotten a thread."""
    folder = tmp_path_factory.mktemp("forgetful")
    shutil.copytree(data_dir, folder / "data")
    run_cli(folder, "forget", "--thread", "thread_1", "--yes", "--data-dir", "data")
    return folder / "data"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five parts that nobody has loaded."""
    folder = tmp_path_factory.mktemp("small")
    land_history(raw_store(folder), HISTORY[2:5])
    return folder


def test_the_warehouse_the_lake_and_a_rebuild_from_raw_are_the_same_whole(data_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(data_dir, data)
    reprice_at_own_prices(data)
    before = read_warehouse(warehouse_path(data))

    publish(data, tmp_path / "lake")
    rebuild(raw_store(data), warehouse_path(data), wait_s=0)

    tables = read_lake(tmp_path / "lake")
    assert_same(tables, before)
    assert_same(tables, read_warehouse(warehouse_path(data)))
    assert [name for name, table in tables.items() if table.is_empty()] == []


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


def publisher(data_dir: Path, lake: Path) -> BaseProcess:
    """A process that publishes part by part; it begins as a fork of one that has imported all it needs."""
    processes = get_context("forkserver")
    processes.set_forkserver_preload([publish.__module__, "deltalake"])
    process = processes.Process(target=publish, args=(data_dir, lake), kwargs={"batch_bytes": 1})
    process.start()
    return process


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
        while killed < KILLS and any(process.is_alive() for process in running):
            target = commits(here) + dice.randint(8, 24)
            wait_until(
                lambda target=target: commits(here) >= target or not all(p.is_alive() for p in running),  # type: ignore[misc]
                what="commits",
            )
            victim = dice.randrange(2)
            killed += running[victim].is_alive()
            running[victim].kill()
            running[victim].join()
            running[victim] = publisher(data_dir, here)
        for process in running:
            process.join(PATIENCE_S)
        codes = [process.exitcode for process in running]
    finally:
        for process in running:
            process.kill()
            process.join()

    publish(data_dir, here)
    assert codes == [0, 0]
    assert killed == KILLS
    load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)
    assert_same(read_lake(here), read_warehouse(warehouse_path(data_dir)))


class DiedError(Exception):
    pass


class DyingSnapshot(Snapshot):
    """Ends after the commit of one table."""

    last = "tool_calls"

    def commit(self, name: str, change: Change, *, epoch: int, parts: Sequence[str] = ()) -> None:
        super().commit(name, change, epoch=epoch, parts=parts)
        if name == self.last:
            raise DiedError


class DyingLate(DyingSnapshot):
    """Ends as late as it can before all is said."""

    last = "threads"


class DyingLast(DyingSnapshot):
    """Ends between two batches."""

    last = "loaded_parts"


class DyingLake(Lake):
    """Its publishers die between two tables."""

    def __init__(self, place: str, dying: type[DyingSnapshot] = DyingSnapshot) -> None:
        super().__init__(place)
        self.dying = dying

    def open_for_writing(self) -> Snapshot:
        snapshot = super().open_for_writing()
        return self.dying(snapshot.place, snapshot.tables)


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


def test_half_a_batch_is_told_also_after_somebody_else_has_published_and_forgotten(small: Path, tmp_path: Path) -> None:
    here, other = tmp_path / "lake", tmp_path / "other"
    with pytest.raises(DiedError):
        publish(small, DyingLake(str(here)))
    land(raw_store(other), Listing(30, [run_of("run_9", thread_id="thread_9")], thread_id="thread_9"), sync_id="other")
    publish(other, here)
    published = Lake(str(here)).open()
    run_cli(tmp_path, "forget", "--thread", "thread_9", "--yes", "--data-dir", "other")
    publish(other, here)

    asked = run_cli(tmp_path, "query", "--lake", "lake", "select count(*) as steps from run_steps", "--format", "csv")
    with pytest.warns(UserWarning, match=f"^{re.escape(TORN)}$"):
        connect_lake(str(here)).close()
    publish(small, here)

    assert (published.is_torn, published.has_halves()) == (False, True)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, '"steps"\n2\n', f"warning: {TORN}\n")
    assert not Lake(str(here)).open().has_halves()
    publish(small, tmp_path / "undisturbed")
    assert_same(read_lake(here), read_lake(tmp_path / "undisturbed"), without=["loaded_parts", "syncs"])


def test_threads_that_have_left_some_tables_are_told_also_after_somebody_else_has_published(
    forgetful: Path, lake: Path, tmp_path: Path
) -> None:
    copy, other = tmp_path / "lake", tmp_path / "other"
    shutil.copytree(lake, copy)
    with pytest.raises(DiedError):
        publish(forgetful, DyingLake(str(copy)))
    land(raw_store(other), Listing(30, [run_of("run_9", thread_id="thread_9")], thread_id="thread_9"), sync_id="other")
    publish(other, copy)

    told = Lake(str(copy)).open().has_halves()
    publish(forgetful, copy)

    assert told
    assert not Lake(str(copy)).open().has_halves()


def test_a_publisher_killed_between_two_commits_of_one_table_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table is large, and has one owner in a commit."""
    here, whole, store = tmp_path / "lake", tmp_path / "whole", raw_store(tmp_path / "data")
    steps = [step_of(f"step_{number}") for number in range(3)]
    land(store, Listing(1, [run_of("run_1")]), Listing(1, steps, run_id="run_1"), sync_id="sync_1")
    publish(tmp_path / "data", here)
    shutil.copytree(here, whole)
    changed = [step_of(f"step_{number}", calls=2) for number in range(3)]
    land(store, Listing(2, [run_of("run_1")]), Listing(2, changed, run_id="run_1"), sync_id="sync_2")
    for name, value in {"_HELD_ROWS": 0, "_HELD_ROWS_PER_CHANGE": 0, "_OWNERS_AT_ONCE": 1}.items():
        monkeypatch.setattr(table_writes, name, value)
    publish(tmp_path / "data", whole)
    overwritten: list[str] = []

    def die_at_the_second(table: DeltaTable, *arguments: Any, **options: Any) -> None:
        if options["mode"] == "overwrite":
            if table.table_uri in overwritten:
                raise DiedError
            overwritten.append(table.table_uri)
        write_deltalake(table, *arguments, **options)

    with monkeypatch.context() as dying:
        dying.setattr(deltalake, "write_deltalake", die_at_the_second)
        with pytest.raises(DiedError):
            publish(tmp_path / "data", here)
    told = Lake(str(here)).open().has_halves()
    publish(tmp_path / "data", here)

    assert told
    assert not Lake(str(here)).open().has_halves()
    assert_same(read_lake(here), read_lake(whole))


def test_columns_that_the_tables_have_got_since_are_added_to_the_lake(
    data_dir: Path, lake: Path, tmp_path: Path
) -> None:
    declared = DeltaTable(str(lake / "threads")).schema().fields
    older = [field for field in declared if field.name != "error"]
    DeltaTable.create(str(tmp_path / "threads"), schema=Schema(older), partition_by=["source"])

    publish(data_dir, tmp_path)

    assert_same(read_lake(tmp_path), read_lake(lake))


def lake_without(lake: Path, place: Path, table: str, column: str) -> None:
    """A copy of a lake as a program left it that did not know this column yet: its rows and its numbers, no values."""
    shutil.copytree(lake, place)
    older = DeltaTable(str(place / table))
    transactions = [Transaction("run-steps-pipeline", older.transaction_version("run-steps-pipeline") or 0)]
    rows = pl.scan_delta(older).drop(column).collect()
    shutil.rmtree(place / table)
    properties = CommitProperties(app_transactions=transactions)
    write_deltalake(str(place / table), rows, partition_by=["source"], commit_properties=properties)


def test_columns_that_rows_have_got_since_are_filled_from_their_parts(
    data_dir: Path, lake: Path, tmp_path: Path
) -> None:
    lake_without(lake, tmp_path / "lake", "run_steps", "message_id")

    done = publish(data_dir, tmp_path / "lake", batch_bytes=6_000)

    assert (done.parts, done.notes) == (24, [])
    assert done.batches > 1
    assert_same(read_lake(tmp_path / "lake"), read_lake(lake))


def test_what_only_other_data_folders_can_fill_is_refused_or_said(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy, data = tmp_path / "lake", tmp_path / "data"
    lake_without(lake, copy, "run_steps", "message_id")
    shutil.copytree(data_dir, data)
    raw_store(data).path(raw_store(data).list_parts()[0]).unlink()

    with pytest.raises(ConfigurationError, match=r"does not have run_steps.message_id yet, and 1 raw part of its rows"):
        publish(data, copy)
    done = publish(data, copy, without_pruned=True)

    assert done.notes == ["rows of 1 raw part that is not here have no run_steps.message_id"]
    assert done.parts == 23
    assert publish(data, copy).parts == 0


def test_a_publisher_killed_while_columns_are_filled_loses_nothing(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    lake_without(lake, tmp_path / "lake", "run_steps", "message_id")
    with pytest.raises(DiedError):
        publish(data_dir, DyingLake(str(tmp_path / "lake"), DyingLast), batch_bytes=6_000)
    told = Lake(str(tmp_path / "lake")).open().has_halves()

    publish(data_dir, tmp_path / "lake", batch_bytes=6_000)

    assert told
    assert not Lake(str(tmp_path / "lake")).open().has_halves()
    assert_same(read_lake(tmp_path / "lake"), read_lake(lake))


def test_columns_and_rows_of_others_stay_where_they_are(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)
    DeltaTable(str(copy / "runs")).alter.add_columns([Field("note", PrimitiveType("string"))])
    store = raw_store(tmp_path / "data")
    shutil.copytree(raw_store(data_dir).folder, store.folder)
    land(store, Listing(40, [run_of("run_1", "failed"), run_of("run_new")]), sync_id="sync_later")

    publish(tmp_path / "data", copy)

    notes = pl.scan_delta(str(copy / "runs")).select("run_id", "note").collect()
    assert (notes["run_id"].n_unique(), notes["note"].null_count()) == (6, 7)
    load_new_parts(store, warehouse_path(tmp_path / "data"), wait_s=0)
    assert_same(read_lake(copy), read_warehouse(warehouse_path(tmp_path / "data")))


def test_a_lake_of_another_version_is_refused(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)
    version = DeltaTable(str(copy / "schema_version"))
    version.update({"version": "1"})

    with pytest.raises(ConfigurationError) as refused:
        publish(data_dir, copy)

    assert str(refused.value) == (
        f"the lake {copy} has schema version 1, this program works with {SCHEMA_VERSION}:"
        " `python -m pipeline publish delta OTHER_PLACE` makes a new one of all raw parts"
    )


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
    assert metadata.configuration["run-steps-pipeline.key"] == "source,thread_id,run_id,step_id,call_index"
    assert [field.name for field in DeltaTable(str(lake / "tool_calls")).schema().fields if not field.nullable] == [
        "source",
        "thread_id",
        "run_id",
        "step_id",
        "call_index",
    ]


def test_the_log_holds_no_text_of_a_conversation(lake: Path) -> None:
    logs = "".join(path.read_text("utf-8") for path in lake.glob("*/_delta_log/*.json"))

    assert "a longer output" in read_lake(lake)["tool_calls"]["output"].to_list()
    assert "a longer output" not in logs


def test_what_was_repriced_in_the_warehouse_is_repriced_in_the_lake(data_dir: Path, lake: Path, tmp_path: Path) -> None:
    copy, data = tmp_path / "lake", tmp_path / "data"
    shutil.copytree(lake, copy)
    shutil.copytree(data_dir, data)
    reprice_at_own_prices(data)

    publish(data, copy)

    tables = read_lake(copy)
    assert tables["repricings"]["new_cost_usd"].to_list() != tables["repricings"]["old_cost_usd"].to_list()
    assert_same(tables, read_warehouse(warehouse_path(data)))


def test_prices_that_the_warehouse_has_charged_at_are_the_lakes_whatever_they_are_now(
    data_dir: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(data_dir, data)
    # What the runs were charged at when they ended: a price that no book has any more.
    with open_for_writing(warehouse_path(data), wait_s=0) as connection:
        connection.execute("update cost_ledger set price_id = 'old', input_usd_per_mtok = 7")

    publish(data, tmp_path / "lake")

    charged = read_lake(tmp_path / "lake")["cost_ledger"]
    assert set(charged.select("price_id", "input_usd_per_mtok").rows()) == {("old", 7)}


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

    with pytest.raises(ConfigurationError, match="would lack what 24 raw parts held that were pruned"):
        publish(data, tmp_path / "lake")
    publish(data, tmp_path / "lake", without_pruned=True)

    assert read_lake(tmp_path / "lake")["runs"]["run_id"].to_list() == ["run_7"]


def test_threads_that_were_forgotten_leave_the_lake_too(forgetful: Path, lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)

    publish(forgetful, copy)

    tables = read_lake(copy)
    # What is left is what the warehouse has left; parts were written anew, and are as large as they are now.
    assert_same(tables, read_warehouse(warehouse_path(forgetful)), without=["loaded_parts"])
    assert tables["threads"]["thread_id"].to_list() == ["thread_2", "thread_3"]
    assert not Lake(str(copy)).open().is_torn


@pytest.mark.parametrize("dying", [DyingSnapshot, DyingLate])
def test_a_publisher_killed_while_threads_leave_the_lake_is_followed_by_the_next(
    forgetful: Path, lake: Path, tmp_path: Path, dying: type[DyingSnapshot]
) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)
    with pytest.raises(DiedError):
        publish(forgetful, DyingLake(str(copy), dying))

    publish(forgetful, copy)

    assert not Lake(str(copy)).open().is_torn
    assert "thread_1" not in read_lake(copy)["threads"]["thread_id"].to_list()
    assert_same(read_lake(copy), read_warehouse(warehouse_path(forgetful)), without=["loaded_parts"])


def test_a_vacuum_removes_files_that_no_version_names_and_the_log_of_old_versions(small: Path, tmp_path: Path) -> None:
    publish(small, tmp_path, batch_bytes=1_000)
    Lake(str(tmp_path)).vacuum(days=1)
    file = next((tmp_path / "tool_calls").glob("source=*/*.parquet"))
    orphan = file.with_name("part-00000-of-a-killed-publisher.zstd.parquet")
    shutil.copy(file, orphan)
    log = list((tmp_path / "tool_calls" / "_delta_log").glob("*.json"))
    for path in (orphan, *log):
        os.utime(path, (0, 0))
    expected = read_lake(tmp_path)

    removed = Lake(str(tmp_path)).vacuum(days=1)

    assert removed == 1
    assert not orphan.exists()
    assert sum(path.exists() for path in log) == 1
    assert_same(read_lake(tmp_path), expected)
    assert publish(small, tmp_path).parts == 0


def test_the_memory_to_publish_a_part_does_not_grow_with_the_lake(tmp_path: Path) -> None:
    few, many = 120_000, 420_000
    peaks_mb = {}
    for grown, rows in ((0, few), (few, many)):
        grow_lake(tmp_path, rows, grown=grown)
        peaks_mb[rows] = measure_publish(tmp_path)["peak_mb"]

    tables = {name: Lake(str(tmp_path / "lake")).open().scan(name) for name in ("runs", "walks")}
    again = pl.col("thread_id").is_in([f"thread_{thread_at(few)}", f"thread_{thread_at(many)}"])
    changed = tables["runs"].filter(again, pl.col("observed_at") > instant(1))
    assert changed.select(pl.len()).collect().item() == 2 * RUNS_PER_THREAD
    assert [rows.select(pl.len()).collect().item() for rows in tables.values()] == [many + 1, many + 6]
    # With every row of both tables in memory it would be more than 300 MB.
    assert peaks_mb[many] - peaks_mb[few] < 120


def test_many_rows_of_a_large_table_change_and_the_others_stay(lake: Path, tmp_path: Path) -> None:
    copy, rows, steps = tmp_path / "lake", 160_000, 1_200
    shutil.copytree(lake, copy)
    one = Lake(str(copy)).open().scan("tool_calls").head(1).collect()
    numbers = pl.DataFrame({"number": range(rows)})
    # Two calls for each step, of which one changes, one goes, or none does either.
    many = one.join(numbers, how="cross").with_columns(
        step_id=pl.format("it's_{}", pl.col("number") // 2), call_index=pl.col("number") % 2
    )
    write_deltalake(str(copy / "tool_calls"), many.drop("number"), mode="append")
    snapshot = Lake(str(copy)).open()
    before = snapshot.scan("tool_calls").collect()
    chosen = many.filter(pl.col("number") < 2 * steps).select(before.columns)
    upserts = chosen.filter(pl.col("call_index") == 0).with_columns(output=pl.lit("changed"))
    key = ["source", "thread_id", "run_id", "step_id", "call_index"]
    deletes = chosen.filter(pl.col("call_index") == 1).head(10).select(key)

    snapshot.commit("tool_calls", Change(upserts, deletes, only_new=False), epoch=snapshot.epochs["tool_calls"])

    after = Lake(str(copy)).open().scan("tool_calls").collect()
    kept = before.join(pl.concat([upserts.select(key), deletes]), on=key, how="anti")
    assert after.sort(key).equals(pl.concat([kept, upserts]).sort(key))
