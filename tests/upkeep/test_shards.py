"""Shards on their own, each in a process and a folder of its own, come to what one sync comes to."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest

from pipeline.emulator import RunningEmulator, generate_corpus, running_emulator
from pipeline.errors import ConfigurationError
from pipeline.extract.fetching import Progress
from pipeline.extract.plan_source import PlanSource
from pipeline.flatten.background import Flattener
from pipeline.flatten.cache import FlatStore
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.raw.columns import PART_SCHEMA
from pipeline.raw.parts import PartName
from pipeline.raw.places import raw_store
from pipeline.threads.selection import Shard
from pipeline.upkeep.gathering import gather_parts, gathering_store
from pipeline.verbs.sync.beside import read_child_threads
from pipeline.verbs.sync.flow import SyncOptions, run_sync
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts
from tests.contents import assert_same_contents, read_contents
from tests.landed import NOON, Listing, land, run_of
from tests.protocol.test_kinds import linked_thread
from tests.syncs import SOURCE, environ_for, raw_files, read_all, run_cli, sync_here


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(threads=16, phase=1) as server:
        yield server


def run_at_once(folder: Path, server: RunningEmulator, commands: Sequence[Sequence[str]]) -> None:
    """All commands as processes at the same time, each to a good end."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "pipeline", *command],
            cwd=folder,
            env=environ_for(server),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * len(commands), said


def shard_command(number: int, count: int, *more: str) -> list[str]:
    shard = ["--shard", f"{number}/{count}", "--data-dir", f"shard-{number}"]
    return ["sync", "--all-threads", "--no-load", "--quiet", *shard, *more]


def plan_of(data_dir: Path, shard: Shard | None = None) -> PlanSource:
    return PlanSource(raw_store(data_dir), warehouse_path(data_dir), SOURCE, shard)


def land_here(server: RunningEmulator, data_dir: Path, ids: Sequence[str], *, shard: Shard | None = None) -> None:
    """A sync of these threads, or of the shard's among them, that loads nothing, in this process."""
    endpoint = Endpoint(base_url=server.base_url, headers={"Authorization": f"Bearer {server.api_key}"})
    client = ApiClient(endpoint, Pacer(concurrency=16))
    taken = [thread_id for thread_id in ids if shard is None or shard.takes(thread_id)]
    options = SyncOptions(source=SOURCE, data_dir=data_dir, thread_ids=taken, plan=plan_of(data_dir, shard))

    async def run() -> None:
        async with client:
            result = await run_sync(client, options, progress=Progress())
        assert result.verdict == "complete"

    asyncio.run(run())


def load_here(data_dir: Path, *folders: Path) -> None:
    gather_parts(gathering_store(data_dir, folders), folders, warehouse_path(data_dir))
    load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=1.0)


def test_four_shards_in_four_processes_come_to_the_same_tables_as_one_process(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    sync_here(emulator, tmp_path / "one")
    run_at_once(tmp_path, emulator, [shard_command(number, 4) for number in (1, 2, 3, 4)])

    loaded = run_cli(tmp_path, "load", *(f"shard-{number}" for number in (1, 2, 3, 4)), "--json", "--data-dir", "all")

    assert json.loads(loaded.stdout)["gathered"] == len(raw_files(tmp_path / "all"))
    assert_same_contents(tmp_path / "all", tmp_path / "one")
    assert not list(tmp_path.glob("shard-*/*.duckdb"))
    # The shards plan from what they have flattened, also once another folder has loaded it.
    assert len(list(tmp_path.glob("shard-*/flat/*/*.flat"))) == len(raw_files(tmp_path / "all"))
    assert not list(tmp_path.glob("all/flat/*/*"))


@pytest.mark.parametrize("flattened", [True, False])
def test_a_shard_without_a_warehouse_asks_once_for_each_thread_that_its_own_parts_know(
    emulator: RunningEmulator, tmp_path: Path, *, flattened: bool
) -> None:
    shard, ids = Shard(1, 2), emulator.corpus.thread_ids()
    land_here(emulator, tmp_path / "data", ids, shard=shard)
    load_here(tmp_path / "all", tmp_path / "data")
    if not flattened:
        shutil.rmtree(tmp_path / "data" / "flat")
    emulator.clear_requests()

    land_here(emulator, tmp_path / "data", ids, shard=shard)

    asked = [(entry["route"], entry["thread_id"]) for entry in emulator.requests()]
    load_here(tmp_path / "data")
    assert sorted(thread for route, thread in asked if route == "list_runs") == sorted(filter(shard.takes, ids))
    # What is still open on the server is all that was walked again.
    still_open = read_all(tmp_path / "data", "select thread_id from runs where not sealed order by thread_id")
    assert sorted(thread for route, thread in asked if route == "list_steps") == [row[0] for row in still_open]


def test_shards_in_one_folder_plan_from_its_warehouse_and_from_what_is_not_in_it_yet(tmp_path: Path) -> None:
    with running_emulator(threads=16) as emulator:
        ids = emulator.corpus.thread_ids()
        sync_here(emulator, tmp_path / "data", thread_ids=ids[:8])
        sync_here(emulator, tmp_path / "one")
        emulator.advance()
        sync_here(emulator, tmp_path / "one")
        for number in (1, 2):
            land_here(emulator, tmp_path / "data", ids, shard=Shard(number, 2))
        emulator.clear_requests()
        for number in (1, 2):
            land_here(emulator, tmp_path / "data", ids, shard=Shard(number, 2))
        asked = Counter(entry["route"] for entry in emulator.requests())

    load_here(tmp_path / "data")

    assert asked["list_runs"] == 16
    assert asked["list_steps"] == read_all(tmp_path / "one", "select count(*) from runs where not sealed")[0][0]
    assert_same_contents(tmp_path / "data", tmp_path / "one", but=["walks"])


def test_what_two_shards_both_fetched_is_there_once(tmp_path: Path) -> None:
    corpus = generate_corpus(threads=27)
    parent, child = linked_thread(corpus)
    with running_emulator(corpus) as server:
        sync_here(server, tmp_path / "one", thread_ids=[parent, child])
        land_here(server, tmp_path / "a", [parent])
        # The second shard has the agent's thread by name; the first finds it in a call.
        land_here(server, tmp_path / "b", [child])
        with plan_of(tmp_path / "a").open() as warehouse:
            land_here(server, tmp_path / "a", read_child_threads(warehouse, [parent], source=SOURCE, full=False))
        asked = Counter(entry["thread_id"] for entry in server.requests() if entry["route"] == "list_runs")

    load_here(tmp_path / "all", tmp_path / "a", tmp_path / "b")

    assert asked == {parent: 2, child: 3}
    assert_same_contents(tmp_path / "all", tmp_path / "one", but=["walks"])


def test_a_thread_of_a_connected_agent_that_another_shard_has_by_name_is_left_to_it(tmp_path: Path) -> None:
    with running_emulator(generate_corpus(threads=27)) as server:
        commands = [shard_command(number, 2, "--follow-agents") for number in (1, 2)]
        run_at_once(tmp_path, server, commands)
        firsts = (entry for entry in server.requests() if entry["route"] == "list_runs" and entry["after"] is None)
        asked = Counter(entry["thread_id"] for entry in firsts)

    assert asked == dict.fromkeys(server.corpus.thread_ids(), 1)


def test_a_load_takes_flattened_parts_and_flattens_the_torn_one_itself(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    land_here(emulator, tmp_path / "data", emulator.corpus.thread_ids())
    store = raw_store(tmp_path / "data")
    flat, parts = FlatStore(store), store.list_parts()
    torn = bytearray(flat.path(parts[-1]).read_bytes())
    torn[len(torn) // 2] ^= 1
    flat.path(parts[-1]).write_bytes(torn)

    assert [flat.read(part) is None for part in parts] == [False] * (len(parts) - 1) + [True]
    load_here(tmp_path / "data")

    sync_here(emulator, tmp_path / "one")
    assert_same_contents(tmp_path / "data", tmp_path / "one")
    assert [part for part in parts if flat.path(part).exists()] == []


@pytest.fixture
def flattened(tmp_path: Path) -> tuple[FlatStore, PartName]:
    """A part of one run, flattened."""
    store = raw_store(tmp_path / "data")
    part = land(store, Listing(0, [run_of("run_1")]))
    flat = FlatStore(store)
    flat.write(part)
    return flat, part


def test_a_flattened_part_of_a_raw_part_that_was_written_anew_is_of_no_use(
    flattened: tuple[FlatStore, PartName],
) -> None:
    flat, part = flattened
    assert flat.read(part) is not None

    flat.store.write_part(part, flat.store.read_rows(part).head(1), replacing=True)

    assert flat.read(part) is None


def test_frames_that_are_not_what_was_written_are_of_no_use(flattened: tuple[FlatStore, PartName]) -> None:
    flat, part = flattened
    path = flat.path(part)
    said = {name: value for name, value in pl.read_parquet_metadata(path).items() if name != "ARROW:schema"}

    exchanged = pl.read_parquet(path).with_columns(pl.col("body").reverse())
    exchanged.write_parquet(path, metadata=said)

    assert flat.read(part) is None


def test_a_flattened_part_says_what_its_raw_part_says(emulator: RunningEmulator, tmp_path: Path) -> None:
    land_here(emulator, tmp_path / "data", emulator.corpus.thread_ids())
    load_here(tmp_path / "from-flat", tmp_path / "data")
    for path in tmp_path.glob("data/flat/*/*"):
        path.unlink()

    load_here(tmp_path / "from-raw", tmp_path / "data")

    ours, theirs = read_contents(tmp_path / "from-flat"), read_contents(tmp_path / "from-raw")
    assert [name for name, frame in ours.items() if not frame.equals(theirs[name])] == []


def test_walks_of_parts_that_a_load_has_taken_meanwhile_are_still_counted(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    land_here(emulator, tmp_path / "data", emulator.corpus.thread_ids())
    store = raw_store(tmp_path / "data")
    flattener = Flattener(FlatStore(store), store.list_parts)
    landed = flattener.count_walks()

    load_here(tmp_path / "data")

    assert not list(tmp_path.glob("data/flat/*/*"))
    assert flattener.count_walks() == landed == read_all(tmp_path / "data", "select count(*) from walks")[0][0]


def test_a_folder_without_parts_is_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    with pytest.raises(ConfigurationError, match="other holds no raw parts"):
        load_here(tmp_path / "data", tmp_path / "other")


def test_two_different_parts_of_one_name_are_both_named(tmp_path: Path) -> None:
    for number, folder in enumerate(("data", "other")):
        path = tmp_path / folder / "raw" / SOURCE / "x-0-000001.parquet"
        path.parent.mkdir(parents=True)
        pl.DataFrame({"kind": ["plan"] * number}, schema={"kind": pl.String}).write_parquet(path)

    with pytest.raises(ConfigurationError, match=r"data.* and .*other.* have one name and different content"):
        load_here(tmp_path / "data", tmp_path / "other")


def test_two_parts_of_one_name_and_length_are_told_apart_by_their_content(tmp_path: Path) -> None:
    for digit, folder in (("1", "data"), ("2", "other")):
        store = raw_store(tmp_path / folder)
        store.write_part(PartName(SOURCE, "x-0-000001"), plan_rows(f'["thread_{digit}"]'))

    with pytest.raises(ConfigurationError, match="have one name and different content: one of them was changed"):
        load_here(tmp_path / "data", tmp_path / "other")


def test_a_part_that_another_version_of_the_library_packed_is_the_same_part(tmp_path: Path) -> None:
    part, rows = PartName(SOURCE, "x-0-000001"), plan_rows('["thread_1"]')
    raw_store(tmp_path / "data").write_part(part, rows)
    other = raw_store(tmp_path / "other").path(part)
    other.parent.mkdir(parents=True)
    metadata = raw_store(tmp_path / "data").read_metadata(part)
    rows.write_parquet(other, compression="uncompressed", metadata={"sha256": metadata["sha256"]})

    load_here(tmp_path / "data", tmp_path / "other")

    assert read_all(tmp_path / "data", "select thread_id from threads") == [("thread_1",)]


def plan_rows(body: str) -> pl.DataFrame:
    """The rows of a part with one plan."""
    row = {"kind": "plan", "source": SOURCE, "sync_id": "x", "fetched_at": NOON, "body": body.encode()}
    return pl.DataFrame({name: [row.get(name)] for name in PART_SCHEMA}, schema=PART_SCHEMA)
