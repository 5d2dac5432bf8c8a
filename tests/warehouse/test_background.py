"""A load that goes on while parts land, and the thread of a sync that does so."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipeline.errors import ConfigurationError, DamagedPartError
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.duck import let_go
from pipeline.warehouse.background import Loader, loading
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts
from tests.landed import Listing, land, run_of, step_of
from tests.syncs import read_all, wait_until


def land_run(store: RawStore, number: int) -> PartName:
    """A part with a run of one step."""
    run_id, thread_id = f"run_{number}", f"thread_{number}"
    return land(
        store,
        Listing(number, [run_of(run_id, thread_id=thread_id)], thread_id=thread_id),
        Listing(number, [step_of(f"step_{number}")], thread_id=thread_id, run_id=run_id),
        sync_id=f"20261120T12000{number}000Z-sync",
    )


def land_torn(store: RawStore, number: int) -> PartName:
    """A part that is not what was written."""
    part = land_run(store, number)
    store.path(part).write_bytes(b"PAR1 torn")
    return part


def asked(*answers: Callable[[], object]) -> Callable[[], bool]:
    """Says that there is more as often as there are answers, and does what each says first."""
    waiting = iter(answers)

    def more() -> bool:
        answer = next(waiting, None)
        if answer is not None:
            answer()
        return answer is not None

    return more


def test_what_lands_while_a_load_is_open_is_loaded_in_the_same_one(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land_run(store, 1)

    def land_another() -> None:
        assert not path.exists()
        land_run(store, 2)

    count = load_new_parts(store, path, wait_s=0, more=asked(land_another, lambda: None, lambda: land_run(store, 3)))

    assert count == 3
    steps = "select step_id, sealed from run_steps inner join runs using (source, thread_id, run_id) order by step_id"
    assert read_all(tmp_path, steps) == [("step_1", True), ("step_2", True), ("step_3", True)]
    assert read_all(tmp_path, "select count(*) from threads where status = 'synced'") == [(3,)]
    assert read_all(tmp_path, "select count(*) from cost_ledger") == [(3,)]
    assert load_new_parts(store, path, wait_s=0) == 0


def test_damage_is_named_also_if_the_load_fails_afterwards(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land_torn(store, 1)
    land_run(store, 2)

    def fail() -> None:
        raise ConfigurationError("the disk is full")

    with pytest.raises(DamagedPartError, match=r"1 raw part .*sync-0-000001.*Then the load failed: the disk is full"):
        load_new_parts(store, path, wait_s=0, more=asked(fail))

    assert not path.exists()
    assert load_new_parts(store, path, wait_s=0) == 1


def test_the_loader_of_a_sync_has_loaded_all_that_landed_when_it_ends(tmp_path: Path) -> None:
    store = raw_store(tmp_path)

    with loading(store, warehouse_path(tmp_path)) as loader:
        for number in (1, 2, 3, 4):
            land_run(store, number)
            loader.wake()
        # What it writes to is beside the warehouse that there will be.
        wait_until(lambda: bool(list(tmp_path.glob("*warehouse*"))), what="a load")
        land_run(store, 5)
        loader.wake()
    loader.join()

    assert read_all(tmp_path, "select count(*) from run_steps") == [(5,)]


def test_the_loader_names_the_damage_of_all_its_loads(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    loader = Loader(store, warehouse_path(tmp_path))
    first = land_torn(store, 1)
    loader.start()
    loader.wake()
    wait_until(lambda: loader.damage is not None, what="the end of the first load")

    second = land_torn(store, 2)
    loader.wake()
    wait_until(lambda: second.name in str(loader.damage), what="the end of the second load")
    loader.stop()
    loader.join()

    assert first.name in str(loader.damage)


def test_a_connection_lets_go_of_blocks_that_it_need_not_keep(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "large.duckdb", config={"memory_limit": "128MB"}) as connection:
        connection.execute("create table noises as select random() as one, random() as other from range(5_000_000)")
        connection.execute("checkpoint")
        connection.execute("select sum(one), sum(other) from noises").fetchall()
        limit, used = settings_of(connection)

        let_go(connection)

        limit_then, used_then = settings_of(connection)
        assert (limit_then, connection.execute("select count(*) from noises").fetchall()) == (limit, [(5_000_000,)])
        assert used_then < 40 * 2**20 < 56 * 2**20 < used


def settings_of(connection: duckdb.DuckDBPyConnection) -> tuple[str, int]:
    """The limit of a connection's memory, and what is in use of it."""
    [row] = connection.execute(
        "select current_setting('memory_limit'), sum(memory_usage_bytes) from duckdb_memory()"
    ).fetchall()
    return row
