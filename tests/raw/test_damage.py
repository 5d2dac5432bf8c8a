"""A raw part that is not what was written is named, set aside, and what it held is fetched again."""

import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.emulator import generate_corpus, running_emulator
from pipeline.errors import DamagedPartError
from pipeline.extract.known_threads import read_thread_states
from pipeline.extract.plan import ThreadTask, thread_tasks
from pipeline.protocol.pages import ArchiveFile
from pipeline.raw.parts import RawStore, new_sync_id
from pipeline.raw.places import raw_store
from pipeline.raw.writer import PartWriter
from pipeline.warehouse.database import open_for_reading, warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from tests.landed import Listing, instant, land, run_of, step_of
from tests.measuring import measured
from tests.syncs import environ_for, raw_files, read_all, run_cli, sync_here


def flip_bit(path: Path, position: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def test_a_flipped_bit_anywhere_in_a_part_is_seen_or_changes_nothing(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    steps = [step_of(f"step_{number}", metadata={"n": str(number**9)}) for number in range(40)]
    part = land(store, Listing(1, [run_of("run_1")]), Listing(2, steps, run_id="run_1"), planned=["thread_1"])
    content = store.path(part).read_bytes()
    sound = store.read_part(part)
    dice, seen = random.Random(6), 0

    for _ in range(300):
        flip_bit(store.path(part), dice.randrange(len(content)), dice.randrange(8))
        try:
            read = store.read_part(part)
        except DamagedPartError:
            seen += 1
        else:
            assert read == sound
        store.path(part).write_bytes(content)

    assert seen > 150


@pytest.mark.parametrize("kept", [0, 4, 0.5, 0.99])
def test_a_part_cut_short_is_set_aside_and_the_others_are_loaded(tmp_path: Path, kept: float) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    parts = [land(store, Listing(1, [run_of(f"run_{n}")]), sync_id=f"sync_{n}") for n in range(3)]
    file = store.path(parts[1])
    file.write_bytes(file.read_bytes()[: int(kept if kept >= 1 else kept * file.stat().st_size)])

    with pytest.raises(DamagedPartError, match=rf"1 raw part damaged .*{file.name}\.damaged: a sync of"):
        load_new_parts(store, path, wait_s=0)

    assert read_all(tmp_path, "select run_id from runs order by all") == [("run_0",), ("run_2",)]
    assert (file.exists(), file.with_name(f"{file.name}.damaged").exists()) == (False, True)
    assert load_new_parts(store, path, wait_s=0) == 0


def test_when_every_new_part_is_damaged_nothing_is_loaded(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    part = land(store, Listing(1, [run_of("run_1")]))
    store.path(part).write_bytes(b"PAR1 torn")

    with pytest.raises(DamagedPartError, match="1 raw part damaged"):
        load_new_parts(store, path, wait_s=0)

    assert read_all(tmp_path, "select count(*) from loaded_parts") == [(0,)]


def test_a_sync_names_the_damaged_part_and_fetches_what_it_held(tmp_path: Path) -> None:
    corpus = generate_corpus(threads=12, seed=11)
    with running_emulator(corpus) as server:
        sync_here(server, tmp_path / "data")
        warehouse_path(tmp_path / "data").unlink()
        largest = max(raw_files(tmp_path / "data"), key=lambda path: path.stat().st_size)
        flip_bit(largest, largest.stat().st_size // 2)

        ended = run_cli(
            tmp_path, "sync", *corpus.thread_ids(), "--data-dir", "data", environ=environ_for(server, COLUMNS="400")
        )

    assert ended.returncode == 0, ended.stderr
    assert f"{largest.name}.damaged" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert asdict(measured(tmp_path / "data", 0)) == asdict(corpus.truth(0))


def test_load_names_the_damaged_part_and_leaves_with_4(tmp_path: Path) -> None:
    store = raw_store(tmp_path / "data")
    part = land(store, Listing(1, [run_of("run_1")]))
    store.path(part).write_bytes(b"PAR1 torn")

    ended = run_cli(tmp_path, "load", "--data-dir", "data")

    assert (ended.returncode, "sync_1-0-000001.parquet.damaged" in ended.stderr) == (4, True)


def test_runs_at_the_start_of_a_list_whose_part_is_gone_are_listed_again(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    gone = land(store, Listing(1, [run_of("run_0")]), Listing(2, [step_of("step_0")], run_id="run_0"))
    later = Listing(3, [run_of("run_1"), run_of("run_2")], first_index=1, after_id="run_0")
    steps = [Listing(3 + place, [step_of(f"step_{place}")], run_id=f"run_{place}") for place in (1, 2)]
    land(store, later, *steps, sync_id="sync_2")
    load_new_parts(store, path, wait_s=0)
    store.set_aside(gone)
    rebuild(store, path, wait_s=0, without_pruned=True)

    with open_for_reading(path) as connection:
        [task] = thread_tasks(read_thread_states(connection, ["thread_1"], source="main", now=instant(5)), full=False)

    assert task == ThreadTask("thread_1", sealed_ids=frozenset({"run_1", "run_2"}))


def test_the_record_of_an_import_in_a_damaged_part_does_not_count(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    names = []
    for number in range(2):
        writer = PartWriter(store, source="main", sync_id=new_sync_id(instant(number), kind="import-"))
        archive = ArchiveFile(file=f"{number}.jsonl", sha256="0" * 64, size_bytes=1, pipeline_version="1")
        writer.add_archive(archive, instant(number))
        part = writer.land(writer.take_rows())
        assert part is not None
        names.append(part)
    store.path(names[0]).write_bytes(b"PAR1 torn")

    assert [archive.file for archive in store.read_archives("main")] == ["1.jsonl"]


def test_a_warehouse_that_cannot_be_written_further_is_named_and_completed_later(tmp_path: Path) -> None:
    store = raw_store(tmp_path / "data")
    text = "".join(random.Random(6).choices("0123456789abcdef", k=400_000))
    land(store, Listing(1, [run_of("run_1", instructions=text)]))

    # Blocks are of 512 or 1,024 bytes: neither is enough.
    limited = subprocess.run(
        ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", sys.executable, "-m", "pipeline", "load", "--data-dir", "data"],
        cwd=tmp_path,
        env=environ_for(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert limited.returncode == 2, limited.stderr
    assert "error: cannot write the warehouse" in limited.stderr
    assert load_new_parts(store, warehouse_path(tmp_path / "data"), wait_s=0) == 1
