"""Raw parts appear whole or not at all, for their owner only, and give back exactly what was received."""

import os
import stat
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.protocol.pages import Page, Walk
from pipeline.raw.columns import PART_SCHEMA
from pipeline.raw.parts import PartName, RawStore, batches_of, new_sync_id
from pipeline.raw.writer import PartWriter
from tests.landed import NOON, Listing, instant, land, run_of, step_of


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path / "raw")


def modes(folder: Path) -> set[str]:
    return {oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*") if path.is_file()}


def test_a_body_comes_back_byte_for_byte_also_when_it_is_no_text(store: RawStore) -> None:
    bodies = [b'{"data": [1]}\r\n ', bytes(range(256)), b""]
    certificate = Listing(0, [], run_id="run_1").walk().certificate
    pages = [Page(index, f"after_{index}", instant(index), f"req_{index}", body) for index, body in enumerate(bodies)]
    writer = PartWriter(store, source="main", sync_id="sync_1")
    writer.add_walk(Walk(certificate, pages))
    part = writer.land(writer.take_rows())

    assert part is not None
    [walk] = store.read_part(part).walks

    assert walk.pages == pages
    assert walk.certificate == certificate
    assert (walk.source, walk.sync_id, walk.part) == ("main", "sync_1", "sync_1-0-000001")


def test_a_part_holds_walks_plan_and_summary(store: RawStore) -> None:
    listings = [Listing(1, [run_of("run_1")]), Listing(2, [step_of("step_1")], run_id="run_1")]

    part = store.read_part(land(store, *listings, planned=["thread_1", "thread_2"], started=3, verdict="complete"))

    assert [walk.walk_id for walk in part.walks] == ["sync_1.0.1", "sync_1.0.2"]
    assert part.planned_threads == [("thread_1", instant(3)), ("thread_2", instant(3))]
    assert [(summary.started_at, summary.verdict) for summary in part.summaries] == [(instant(3), "complete")]
    assert part.landed_at == instant(3)


def test_a_part_is_compressed_parquet_of_the_declared_columns(store: RawStore) -> None:
    part = land(store, Listing(0, [run_of("run_1", instructions="blue " * 10_000)]))

    frame = pl.read_parquet(store.path(part))

    assert frame.schema == pl.Schema(PART_SCHEMA)
    assert store.path(part).stat().st_size < 10_000


def test_parts_can_be_read_by_their_owner_only(store: RawStore) -> None:
    before = os.umask(0)
    try:
        part = land(store, Listing(0, [run_of("run_1")]))
    finally:
        os.umask(before)

    assert modes(store.folder) == {"0o600"}
    assert stat.S_IMODE(store.path(part).parent.stat().st_mode) == 0o700


def test_a_part_is_on_disk_before_it_gets_its_name(store: RawStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only the order of these calls tells what a power cut would leave.
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def sync_told(descriptor: int) -> None:
        done.append("synced")
        fsync(descriptor)

    def link_told(source: Path, path: Path) -> None:
        done.append("named")
        link(source, path)

    monkeypatch.setattr(os, "fsync", sync_told)
    monkeypatch.setattr(os, "link", link_told)

    land(store, Listing(0, [run_of("run_1")]))

    assert done == ["synced", "named", "synced"]


def test_nothing_but_whole_parts_is_left_in_the_folder(store: RawStore) -> None:
    for number in range(3):
        land(store, Listing(number, [run_of("run_1")]), sync_id=f"sync_{number}")

    assert sorted(path.name for path in (store.folder / "main").iterdir()) == [
        "sync_0-0-000001.parquet",
        "sync_1-0-000001.parquet",
        "sync_2-0-000001.parquet",
    ]


def test_what_a_killed_process_left_half_written_is_no_part(store: RawStore) -> None:
    part = land(store, Listing(0, [run_of("run_1")]))
    half = store.path(part).with_name("sync_9-0-000001.parquet.77-host.writing")
    half.write_bytes(store.path(part).read_bytes()[:100])

    assert store.list_parts() == [part]


def test_parts_are_listed_in_the_order_of_their_syncs_whatever_their_source(store: RawStore) -> None:
    names = [("b", "sync_1"), ("a", "sync_2"), ("a", "sync_1")]
    for source, sync_id in names:
        writer = PartWriter(store, source=source, sync_id=sync_id)
        writer.add_plan(["thread_1"], NOON)
        writer.land(writer.take_rows())

    assert store.list_parts() == [
        PartName("a", "sync_1-0-000001"),
        PartName("b", "sync_1-0-000001"),
        PartName("a", "sync_2-0-000001"),
    ]


def test_sync_ids_sort_by_time_and_differ_within_a_millisecond() -> None:
    ids = [new_sync_id(instant(0)), new_sync_id(instant(0)), new_sync_id(instant(1))]

    assert len(set(ids)) == 3
    assert max(ids[:2]) < ids[2]


def test_nothing_to_land_makes_no_part(store: RawStore) -> None:
    writer = PartWriter(store, source="main", sync_id="sync_1")

    assert writer.land(writer.take_rows()) is None
    assert store.list_parts() == []


def test_a_writer_is_empty_after_its_rows_were_taken(store: RawStore) -> None:
    writer = PartWriter(store, source="main", sync_id="sync_1")
    writer.add_walk(Listing(0, [run_of("run_1")]).walk())

    first, second = writer.take_rows(), writer.take_rows()

    assert (len(first), second, writer.size_bytes) == (2, [], 0)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_a_part_that_cannot_be_read_is_named_with_what_to_do(store: RawStore, content: bytes) -> None:
    part = land(store, Listing(0, [run_of("run_1")]))
    store.path(part).write_bytes(content)

    with pytest.raises(PipelineError, match=r"sync_1-0-000001\.parquet cannot be read .*: move it away"):
        store.read_part(part)


def test_a_folder_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file where the folder should be")

    with pytest.raises(ConfigurationError, match="cannot write raw data to"):
        land(RawStore(tmp_path / "raw"), Listing(0, [run_of("run_1")]))


def test_batches_hold_all_parts_in_order_and_end_when_their_bodies_are_large_enough(store: RawStore) -> None:
    parts = [land(store, Listing(0, [run_of("run_1")]), sync_id=f"sync_{number}") for number in range(5)]
    body_bytes = store.read_body_bytes(parts[0])

    assert list(batches_of(store, parts, body_bytes=1)) == [[part] for part in parts]
    assert list(batches_of(store, parts, body_bytes=body_bytes + 1)) == [parts[:2], parts[2:4], parts[4:]]
    assert list(batches_of(store, [], body_bytes=1)) == []


def test_a_folder_may_be_named_like_a_pattern(tmp_path: Path) -> None:
    store = RawStore(tmp_path / "data [old]*")
    part = land(store, sync_id="sync_1", planned=["thread_1"])

    assert [thread for thread, _ in store.read_part(part).planned_threads] == ["thread_1"]
