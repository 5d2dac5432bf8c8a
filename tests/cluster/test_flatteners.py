"""Batches that processes flatten come to the same tables as those flattened here, whatever becomes of the processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cluster.flatteners import LEAST_BYTES, Flatteners, flatteners_of
from pipeline.errors import DamagedPartError, PipelineError
from pipeline.flatten.batches import InThread, flatten_batch
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import raw_store
from pipeline.warehouse.background import loading_meanwhile
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from tests.archives.test_shapes import same_tables
from tests.landed import Listing, land, run_of, step_of
from tests.syncs import read_tables


@pytest.fixture
def flatteners() -> Iterator[Flatteners]:
    processes = Flatteners(2)
    yield processes
    processes.close()


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    """Five parts; the steps of one run are in two of them."""
    store = raw_store(tmp_path)
    for number in range(5):
        run_id = f"run_{number // 2}"
        land(
            store,
            Listing(number, [run_of(run_id)]),
            Listing(number, [step_of("step_1", calls=number), step_of("step_bad", usage=5)], run_id=run_id),
            sync_id=f"sync_{number}",
            started=number,
        )
    return store


def test_tables_are_the_same_whoever_flattens(store: RawStore, flatteners: Flatteners, tmp_path: Path) -> None:
    rebuild(store, warehouse_path(tmp_path), wait_s=0.0)
    before = read_tables(tmp_path)

    rebuild(store, warehouse_path(tmp_path), wait_s=0.0, flattener=flatteners)

    assert same_tables(read_tables(tmp_path), before)


def test_what_a_process_that_died_was_to_do_is_done_here(store: RawStore, flatteners: Flatteners) -> None:
    parts = store.list_parts()
    flatteners.start()
    for process, _ in flatteners._members:
        process.kill()
        process.join()

    found = [flatteners.flatten(store, parts, anew=True) for _ in range(3)]

    expected = flatten_batch(store, parts, anew=True).frames[0]
    assert all(frame.equals(each.frames[0][name]) for each in found for name, frame in expected.items())


def test_a_damaged_part_is_set_aside_and_the_others_are_loaded(
    store: RawStore, flatteners: Flatteners, tmp_path: Path
) -> None:
    damaged = store.path(store.list_parts()[2])
    damaged.write_bytes(b"PAR1 and then nothing")

    with pytest.raises(DamagedPartError, match="set aside"):
        load_new_parts(store, warehouse_path(tmp_path), wait_s=0.0, flattener=flatteners)

    assert damaged.with_name(f"{damaged.name}.damaged").exists()
    assert len(read_tables(tmp_path)["loaded_parts"]) == 4


def test_a_rebuild_names_a_damaged_part(store: RawStore, flatteners: Flatteners, tmp_path: Path) -> None:
    damaged = store.path(store.list_parts()[2])
    damaged.write_bytes(b"PAR1 and then nothing")

    with pytest.raises(DamagedPartError, match=damaged.name):
        rebuild(store, warehouse_path(tmp_path), wait_s=0.0, flattener=flatteners)


def test_a_part_that_cannot_be_read_is_named_as_it_is_here(store: RawStore, flatteners: Flatteners) -> None:
    gone = PartName("main", "sync_9-0-000001")
    with pytest.raises(PipelineError) as here:
        flatten_batch(store, [gone], anew=True)

    with pytest.raises(PipelineError) as there:
        flatteners.flatten(store, [gone], anew=True)

    assert str(there.value) == str(here.value)


def test_little_is_flattened_without_another_process() -> None:
    with flatteners_of(LEAST_BYTES - 1) as flattener:
        assert isinstance(flattener, InThread)


@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "damaged"])
def test_what_lands_meanwhile_is_loaded_by_the_end_or_named(
    store: RawStore, flatteners: Flatteners, tmp_path: Path, is_whole: bool
) -> None:
    damaged = store.path(store.list_parts()[2])
    warehouse = warehouse_path(tmp_path)

    def land_more() -> None:
        with loading_meanwhile(store, warehouse, flatteners, wait_s=0.0) as landed:
            if not is_whole:
                damaged.write_bytes(b"PAR1 and then nothing")
            for number in range(5, 9):
                land(store, Listing(number, [run_of(f"run_{number}")]), sync_id=f"sync_{number}")
                landed()

    if is_whole:
        land_more()
    else:
        with pytest.raises(DamagedPartError, match=damaged.name):
            land_more()

    assert len(read_tables(tmp_path)["loaded_parts"]) == (9 if is_whole else 8)
