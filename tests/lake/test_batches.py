"""Batches that are worked out beside each other make the lake that one after another makes."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from pipeline.errors import ConfigurationError, DamagedPartError
from pipeline.lake.batch_changes import BatchChanges, BatchJob, Reading, change_batch
from pipeline.lake.batch_windows import spread, windows_of
from pipeline.lake.slices import Touched
from pipeline.lake.store import Lake
from pipeline.protocol.pages import SyncSummary
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import raw_store
from pipeline.raw.writer import PartWriter
from pipeline.sqlfiles.price_book import read_price_book
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts
from tests.lakes import assert_same, read_lake, read_warehouse
from tests.landed import Listing, instant, land, run_of, step_of
from tests.publish_parts import publish
from tests.syncs import read_all
from tests.thread_cluster import ThreadCluster

THREADS = 4
# The first and the last one, and two for each time that a thread is listed.
PARTS = 2 + 2 * (THREADS + 2)
# Two or three parts of the long sync in a batch, where it is no matter that each has one of its own.
FEW_PARTS = 10_000


@dataclass
class Ahead(ThreadCluster):
    """Works out as many jobs as it has workers before it gives the results, the last one first."""

    jobs: list[BatchJob] = field(default_factory=list)
    after_work: Callable[[], object] = lambda: None

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
        waiting = iter(jobs)
        while given := list(islice(waiting, self.workers)):
            self.jobs += given
            found = [work(job) for job in given]
            self.after_work()
            yield from reversed(found)


def land_long_sync(store: RawStore) -> None:
    """A sync of many parts: runs in one, their steps in the next, and at the end the first threads once more."""
    writer = PartWriter(store, source="main", sync_id="20261120T130000000Z-sync")
    opening = SyncSummary(started_at=instant(0), pipeline_version="1", kind="openai", models={"our-model": "gpt-4o"})
    writer.add_summary(opening, instant(0))
    writer.land(writer.take_rows())
    for minute, number in enumerate([*range(THREADS), 0, 1]):
        usage = {"prompt_tokens": 10 + minute, "completion_tokens": 5, "total_tokens": 15 + minute}
        run_id, thread_id = f"run_{number}", f"thread_{number}"
        run = run_of(run_id, thread_id=thread_id, model="our-model", created_at=1_763_640_000, usage=usage)
        steps = [step_of(f"step_{number}_{index}", usage=usage) for index in range(2 + minute // THREADS)]
        for listing in (
            Listing(minute, [run], thread_id=thread_id),
            Listing(minute, steps, thread_id=thread_id, run_id=run_id),
        ):
            writer.add_walk(listing.walk())
            writer.land(writer.take_rows())
    writer.add_summary(msgspec.structs.replace(opening, finished_at=instant(9), verdict="complete"), instant(9))
    writer.land(writer.take_rows())


@pytest.fixture
def long_sync(tmp_path: Path) -> Path:
    land_long_sync(raw_store(tmp_path / "data"))
    return tmp_path / "data"


def test_a_sync_worked_out_by_several_at_a_time_is_the_warehouse_whole(long_sync: Path, tmp_path: Path) -> None:
    cluster = Ahead(workers=2)

    done = publish(long_sync, tmp_path / "lake", batch_bytes=1, cluster=cluster)

    load_new_parts(raw_store(long_sync), warehouse_path(long_sync), wait_s=0)
    assert_same(read_lake(tmp_path / "lake"), read_warehouse(warehouse_path(long_sync)))
    assert read_all(long_sync, "select distinct priced_model from step_costs") == [("gpt-4o",)]
    assert (done.parts, done.batches, done.refused) == (PARTS, PARTS, 0)
    # Those that touch what was written meanwhile are worked out once more, and no others.
    again = len(cluster.jobs) - done.batches
    assert 0 < again < done.batches / 2


def test_every_kind_of_part_worked_out_on_a_cluster_makes_the_same_lake(
    data_dir: Path, lake: Path, tmp_path: Path
) -> None:
    done = publish(data_dir, tmp_path, batch_bytes=3_000, cluster=Ahead(workers=4))

    assert done.batches > 4
    assert_same(read_lake(tmp_path), read_lake(lake))


def test_what_was_worked_out_before_somebody_else_published_is_not_written(long_sync: Path, tmp_path: Path) -> None:
    other, here = tmp_path / "other", tmp_path / "lake"
    changed = run_of("run_0", status="completed", usage={"total_tokens": 99})
    land(raw_store(other), Listing(60, [changed], thread_id="thread_0"), sync_id="20261120T150000000Z-other")
    cluster = Ahead(workers=3)
    meanwhile = iter([lambda: publish(other, here)])
    cluster.after_work = lambda: next(meanwhile, lambda: None)()
    done = publish(long_sync, here, batch_bytes=FEW_PARTS, cluster=cluster)

    assert done.refused == 1
    publish(other, tmp_path / "in-turn")
    publish(long_sync, tmp_path / "in-turn")
    assert_same(read_lake(here), read_lake(tmp_path / "in-turn"))


def test_a_damaged_part_is_named_by_a_cluster_too(long_sync: Path, tmp_path: Path) -> None:
    store = raw_store(long_sync)
    damaged = store.list_parts()[4]
    content = bytearray(store.path(damaged).read_bytes())
    content[len(content) // 3] ^= 0xFF
    store.path(damaged).write_bytes(content)

    with pytest.raises(DamagedPartError, match=rf"1 raw parts are damaged and not in the lake: main/{damaged.name}"):
        publish(long_sync, tmp_path / "lake", batch_bytes=FEW_PARTS, cluster=Ahead(workers=3))

    assert len(read_lake(tmp_path / "lake")["loaded_parts"]) == PARTS - 1


@dataclass
class Elsewhere(Ahead):
    """Machines on which something of a job is at another path."""

    other: dict[str, Any] = field(default_factory=dict)

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
        return super().run(work, (replace(job, **self.other) for job in jobs))


@pytest.mark.parametrize("is_there", [False, True], ids=["none", "another"])
def test_a_worker_that_sees_no_lake_or_another_says_so(long_sync: Path, tmp_path: Path, *, is_there: bool) -> None:
    other = tmp_path / "elsewhere"
    if is_there:
        shutil.copytree(long_sync, tmp_path / "copy")
        publish(tmp_path / "copy", other)

    with pytest.raises(ConfigurationError, match=r"does not see the lake .*elsewhere: all machines of the cluster"):
        publish(long_sync, tmp_path / "lake", batch_bytes=FEW_PARTS, cluster=Elsewhere(other={"lake": str(other)}))


def test_a_worker_that_does_not_see_the_warehouse_whose_costs_are_kept_says_so(long_sync: Path, tmp_path: Path) -> None:
    load_new_parts(raw_store(long_sync), warehouse_path(long_sync), wait_s=0)
    other = {"warehouse": tmp_path / "elsewhere.duckdb"}

    with pytest.raises(ConfigurationError, match=r"does not see the warehouse .*elsewhere\.duckdb"):
        publish(long_sync, tmp_path / "lake", cluster=Elsewhere(other=other))


def test_a_part_that_is_removed_meanwhile_is_no_longer_waited_for(long_sync: Path, tmp_path: Path) -> None:
    store = raw_store(long_sync)
    cluster = Ahead(workers=2, after_work=lambda: store.remove_part(store.list_parts()[-1]))

    done = publish(long_sync, tmp_path / "lake", batch_bytes=1, cluster=cluster)

    left = {part.name for part in store.list_parts()}
    assert 2 < len(left) < PARTS
    assert left <= set(read_lake(tmp_path / "lake")["loaded_parts"]["part"])
    assert done.refused > 0


def test_what_was_given_before_more_batches_than_are_remembered_is_worked_out_again(
    long_sync: Path, tmp_path: Path
) -> None:
    store, lake = raw_store(long_sync), Lake(str(tmp_path / "lake"))
    reading = Reading(lake.open_for_writing(), remembered=1)
    parts = store.list_parts()
    book = read_price_book()

    def worked_out(part: PartName, commits: int) -> BatchChanges:
        job = BatchJob([part], store.folder, lake.place, reading.snapshot.state, book, None, commits)
        return change_batch(job, reading.snapshot, flat={})

    # Of other threads than the last one.
    early = worked_out(parts[5], 0)
    for count, part in enumerate(parts[:2]):
        assert not reading.is_outdated(early)
        reading.commit(worked_out(part, count))

    assert reading.is_outdated(early)
    assert not reading.is_outdated(worked_out(parts[5], 2))


def part(sync: str, number: int) -> PartName:
    return PartName("main", f"{sync}-0-{number:06d}")


def test_batches_are_worked_out_together_only_from_the_middle_of_one_sync() -> None:
    opening, *middle = [[part("a", number)] for number in range(1, 5)]
    both = [part("a", 5), part("b", 1)]
    rest = [[part("b", number)] for number in (2, 3)]

    assert list(windows_of([opening, *middle, both, *rest], most=9)) == [[opening], middle, [both], rest]
    assert list(windows_of([opening, *middle], most=2)) == [[opening], middle[:2], middle[2:]]


def touched(
    thread: str, run: str, *, source: str = "main", has_syncs: bool = False, has_bills: bool = False
) -> Touched:
    threads = pl.DataFrame({"source": [source], "thread_id": [thread]})
    runs = threads.with_columns(run_id=pl.lit(run))
    return Touched(threads, runs, pl.Series([source]), has_syncs=has_syncs, has_bills=has_bills)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (touched("thread_1", "run_1"), touched("thread_2", "run_2"), False),
        (touched("thread_1", "run_1"), touched("thread_1", "run_2"), True),
        (touched("thread_1", "run_1"), touched("thread_2", "run_1"), False),
        (touched("thread_1", "run_1"), touched("thread_1", "run_1", source="other"), False),
        (touched("thread_1", "run_1", has_syncs=True), touched("thread_2", "run_2"), False),
        (touched("thread_1", "run_1", has_syncs=True), touched("thread_2", "run_2", has_syncs=True), True),
        (touched("thread_1", "run_1", has_bills=True), touched("thread_2", "run_2", has_bills=True), True),
        (
            touched("thread_1", "run_1", has_bills=True),
            touched("thread_2", "run_2", source="other", has_bills=True),
            False,
        ),
    ],
)
def test_batches_concern_each_other_by_thread_or_what_belongs_to_their_source(
    one: Touched, other: Touched, overlap: bool
) -> None:
    assert (one.overlaps(other), other.overlaps(one)) == (overlap, overlap)


@pytest.mark.parametrize(
    ("ways", "order"), [(1, [0, 1, 2, 3, 4]), (2, [0, 3, 1, 4, 2]), (3, [0, 2, 4, 1, 3]), (9, [0, 1, 2, 3, 4])]
)
def test_batches_that_are_begun_one_after_another_are_far_apart(ways: int, order: list[int]) -> None:
    batches = [[part("a", number)] for number in range(5)]

    assert [batches.index(batch) for batch in spread(batches, ways)] == order
