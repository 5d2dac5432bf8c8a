"""Raw parts and lakes in a bucket: a real S3 server on loopback, and nothing of it on this disk."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import obstore
import polars as pl
import pytest
from obstore.store import from_url

from pipeline.emulator import generate_corpus, running_emulator
from pipeline.errors import ConfigurationError, DamagedPartError
from pipeline.flatten.cache import FlatStore
from pipeline.lake.delta_tables import LakeConflictError
from pipeline.lake.reading import open_lake
from pipeline.lake.store import Lake
from pipeline.lake.table_writes import Change
from pipeline.raw.parts import PART_SUFFIX, PartName, RawStore
from pipeline.raw.places import RAW, keep_place, open_raw, raw_store, read_place
from pipeline.settings.invocation import Settings
from pipeline.settings.lookup import read_settings
from pipeline.sqlfiles.duck import read_frame
from pipeline.storage.buckets import hint_at, is_bucket
from pipeline.upkeep.gathering import gather_parts, gathering_store
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.loaded_parts import prune_parts
from tests.archived import import_here, run_object, write_json
from tests.buckets import BUCKET, S3, running_s3
from tests.lakes import assert_same, read_lake, read_warehouse
from tests.landed import NOON, Listing, land, run_of, step_of
from tests.publish_parts import publish
from tests.syncs import environ_for, run_cli

LISTINGS = [[Listing(n, [run_of(f"run_{n}")]), Listing(n, [step_of(f"step_{n}")], run_id=f"run_{n}")] for n in range(4)]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def place(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of its own, which this process reaches."""
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def data_dir(place: str, tmp_path: Path) -> Path:
    """A data folder with its raw parts in the bucket: four syncs that are landed and not loaded."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "raw.place").write_text(f"{place}/raw\n")
    for number, listings in enumerate(LISTINGS):
        land(raw_store(folder), *listings, sync_id=f"sync_{number}", started=number, verdict="complete")
    return folder


def test_parts_in_a_bucket_make_the_warehouse_that_parts_in_a_folder_make(data_dir: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    for number, listings in enumerate(LISTINGS):
        land(RawStore(local / RAW), *listings, sync_id=f"sync_{number}", started=number, verdict="complete")
    load_new_parts(raw_store(local), warehouse_path(local), wait_s=0)

    loaded = load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)
    rebuild(raw_store(data_dir), tmp_path / "rebuilt.duckdb", wait_s=0)

    assert loaded == 4
    expected = read_warehouse(warehouse_path(local))
    # As they lie there parts are the same, byte for byte.
    assert_same(read_warehouse(warehouse_path(data_dir)), expected)
    assert_same(read_warehouse(tmp_path / "rebuilt.duckdb"), expected)
    assert not (data_dir / RAW).exists()


def test_listing_asks_once_whatever_the_number_of_parts(data_dir: Path, s3: S3) -> None:
    before = len(s3.asked())

    parts = raw_store(data_dir).list_parts()

    assert [part.name for part in parts] == [f"sync_{number}-0-000001" for number in range(4)]
    assert len(s3.asked()) - before == 1


def test_whether_a_part_is_there_is_asked_for_it_alone(data_dir: Path, s3: S3) -> None:
    store = raw_store(data_dir)
    there = store.list_parts()[0]
    before = len(s3.asked())

    found = [store.has_part(part) for part in (there, PartName(there.source, "sync_9-0-000001"))]

    assert found == [True, False]
    assert len(s3.asked()) - before == 2


def test_a_part_is_never_put_in_the_place_of_another(data_dir: Path) -> None:
    store = raw_store(data_dir)
    first, second, *_ = store.list_parts()
    before = store.read_rows(first)

    with pytest.raises(ConfigurationError, match="is there already and is another part"):
        store.write_part(first, store.read_rows(second))
    # An answer that was lost, asked for again.
    store.write_part(first, before)

    assert store.read_rows(first).equals(before)


def test_what_is_damaged_in_the_bucket_is_set_aside_there_and_the_others_are_loaded(data_dir: Path, place: str) -> None:
    store = raw_store(data_dir)
    bucket = from_url(place)
    obstore.put(bucket, f"raw/main/sync_1-0-000001{PART_SUFFIX}", b"PAR1 but no more")

    with pytest.raises(DamagedPartError, match=f"set aside as {place}/raw/main/sync_1-0-000001.parquet.damaged"):
        load_new_parts(store, warehouse_path(data_dir), wait_s=0)

    assert [part.name[:6] for part in store.list_parts()] == ["sync_0", "sync_2", "sync_3"]
    assert load_new_parts(store, warehouse_path(data_dir), wait_s=0) == 0


def test_the_footer_of_a_large_part_is_read_from_its_end(data_dir: Path) -> None:
    store = raw_store(data_dir)
    texts = [run_of(f"run_{n}", instructions=pl.Series([n]).hash().cast(pl.String)[0] * 400) for n in range(100)]
    part = land(store, Listing(60, texts), sync_id="sync_large")

    assert store.read_body_bytes(part) > 500_000


def test_an_import_into_a_bucket_knows_what_it_has_read_before(data_dir: Path, tmp_path: Path) -> None:
    archive = write_json(tmp_path / "archive.json", [run_object("run_a")])

    first, again = import_here(data_dir, archive), import_here(data_dir, archive)

    assert (first.files_known, again.files_known) == (0, 1)


def test_a_sync_of_several_processes_and_its_lake_live_in_a_bucket(s3: S3, place: str, tmp_path: Path) -> None:
    data_dir, lake = tmp_path / "data", f"{place}/lake"
    with running_emulator(generate_corpus(threads=5, seed=3)) as server:
        shell = environ_for(server, PIPELINE_RAW=f"{place}/raw", **s3.environ)
        ids = server.corpus.thread_ids()
        synced = run_cli(tmp_path, "sync", *ids, "--workers", "2", "--quiet", environ=shell)
    published = run_cli(tmp_path, "publish", "delta", lake, "--json", environ=environ_for(None, **s3.environ))
    stale = Lake(lake).open()
    publish(data_dir, Lake(lake))
    land(raw_store(data_dir), *LISTINGS[0])
    publish(data_dir, Lake(lake))
    load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)

    assert (synced.returncode, published.returncode) == (0, 0), synced.stderr + published.stderr
    assert json.loads(published.stdout)["parts"] > 2
    assert not (data_dir / RAW).exists()
    expected = read_warehouse(warehouse_path(data_dir))
    assert_same(read_lake(lake), expected)
    with open_lake(lake) as (connection, warnings):
        runs = read_frame(connection, "select count(*) as runs from run_costs").item()
    assert (runs, warnings) == (expected["runs"].height, [])
    with pytest.raises(LakeConflictError):
        stale.commit("threads", Change(expected["threads"], expected["threads"].clear(), only_new=True), epoch=99)


def with_raw(raw: str, data_dir: Path) -> Settings:
    return read_settings({"raw": raw, "data_dir": str(data_dir)}, {}, data_dir.parent)


def test_a_data_folder_keeps_to_the_place_of_its_parts(place: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    keep_place(with_raw(f"{place}/raw/", data_dir))
    keep_place(with_raw(f"{place}/raw", data_dir))
    land(raw_store(data_dir), *LISTINGS[0])
    land(RawStore(tmp_path / "local" / RAW), *LISTINGS[0])

    with pytest.raises(ConfigurationError) as elsewhere:
        keep_place(with_raw(f"{place}/elsewhere", data_dir))
    with pytest.raises(ConfigurationError, match=f"but the raw parts of {tmp_path}/local are in {tmp_path}/local/raw"):
        keep_place(with_raw(f"{place}/raw", tmp_path / "local"))
    with pytest.raises(ConfigurationError, match="is not s3://, gs:// or az:// with a bucket: a folder is named with"):
        keep_place(with_raw("some/folder", tmp_path / "new"))

    assert str(elsewhere.value) == (
        f"raw = {place}/elsewhere (--raw), but the raw parts of {tmp_path}/data are in {place}/raw:"
        " name another --data-dir"
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "named",
    [
        "s3://K:marker-secret@bucket/x",
        "s3://marker-secret@bucket",
        "s3://K:marker-secret/w@bucket/x",
        "az://box/x?sig=marker-secret",
        "gs://box/x#marker-secret",
        "abfss://box:marker-secret@account.dfs.core.windows.net/x",
        "ftp://K:marker-secret@host/x",
    ],
)
def test_a_place_with_a_secret_in_it_is_refused_without_showing_it(named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^raw \(--raw\): a place in a \w+:// bucket must not") as raw:
        keep_place(with_raw(named, tmp_path / "data"))
    with pytest.raises(ConfigurationError, match="must not hold a user name, a query or a fragment") as lake:
        Lake(named)
    (tmp_path / "raw.place").write_text(f"{named}\n")
    with pytest.raises(ConfigurationError, match="where nobody can look now") as remembered:
        keep_place(with_raw("s3://box/x", tmp_path))
    assert "marker-secret" not in f"{raw.value} {lake.value} {remembered.value}"


def test_what_is_no_bucket_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^raw \(--raw\) is not s3://") as raised:
        keep_place(with_raw("K:marker-secret@bucket/x", tmp_path))
    assert "marker-secret" not in str(raised.value)


def test_a_container_may_be_named_before_its_account_and_a_prefix_may_have_any_sign() -> None:
    assert is_bucket("abfss://box@account.dfs.core.windows.net/x")
    assert is_bucket("s3://box/a@b:c")
    assert not is_bucket("folder?x#y@z")


def test_a_bucket_that_refuses_is_not_remembered(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the bucket of s3://no-such-bucket/raw cannot be used"):
        keep_place(with_raw("s3://no-such-bucket/raw", tmp_path / "data"))
    assert read_place(tmp_path / "data") is None

    keep_place(with_raw(f"{place}/raw", tmp_path / "data"))

    assert read_place(tmp_path / "data") == f"{place}/raw"


def test_a_place_where_nothing_has_landed_gives_way_to_another(place: str, tmp_path: Path) -> None:
    keep_place(with_raw(f"{place}/rwa", tmp_path / "data"))

    keep_place(with_raw(f"{place}/raw", tmp_path / "data"))

    assert read_place(tmp_path / "data") == f"{place}/raw"


def test_a_place_that_cannot_be_looked_into_stays_and_its_record_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "raw.place").write_text("s3://no-such-bucket/raw\n")

    with pytest.raises(ConfigurationError, match=f"remove {tmp_path}/raw.place if that was never their place"):
        keep_place(with_raw(f"{place}/raw", tmp_path))

    assert read_place(tmp_path) == "s3://no-such-bucket/raw"


def shard_in(folder: Path, place: str | None, *numbers: int) -> Path:
    """A data folder of a shard that has landed and flattened these, in its bucket or its own folder."""
    folder.mkdir()
    if place is not None:
        (folder / "raw.place").write_text(f"{place}\n")
    for number in numbers:
        flat = FlatStore(raw_store(folder))
        flat.write(land(flat.store, *LISTINGS[number], sync_id=f"sync_{number}", started=number, verdict="complete"))
    return folder


def gather_and_load(data_dir: Path, folders: Sequence[Path]) -> tuple[int, int]:
    """What `load FOLDER... --data-dir DATA_DIR` does; parts that were gathered, and loaded."""
    store, warehouse = gathering_store(data_dir, folders), warehouse_path(data_dir)
    return gather_parts(store, folders, warehouse), load_new_parts(store, warehouse, wait_s=0)


def test_shards_in_one_bucket_are_loaded_from_there_with_what_they_flattened(
    s3: S3, place: str, tmp_path: Path, data_dir: Path
) -> None:
    load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)
    shards = [shard_in(tmp_path / f"shard-{n + 1}", f"{place}/shards", n, n + 2) for n in (0, 1)]
    before = len(s3.asked())

    shell = environ_for(None, **s3.environ)
    ended = run_cli(tmp_path, "load", "shard-1", "shard-2", "--data-dir", "all", "--json", environ=shell)
    keep_place(with_raw(f"{place}/shards", tmp_path / "named"))
    gathered = gather_parts(raw_store(tmp_path / "named"), shards, warehouse_path(tmp_path / "named"))

    assert ended.returncode == 0, ended.stderr
    assert [json.loads(ended.stdout)[name] for name in ("gathered", "parts")] == [0, 4]
    assert_same(read_warehouse(tmp_path / "all" / "warehouse.duckdb"), read_warehouse(warehouse_path(data_dir)))
    assert (gathered, len(list(tmp_path.glob("named/flat/*/*.flat")))) == (0, 4)
    # Nothing is copied.
    assert not [line for line in s3.asked()[before:] if line.startswith(("PUT", "POST"))]
    assert not list(tmp_path.glob(f"*/{RAW}"))


@pytest.mark.parametrize("target", [None, "all", "shard-1"], ids=["folder", "bucket", "bucket_of_one_shard"])
def test_shards_in_different_places_are_copied_once_and_byte_for_byte(
    place: str, tmp_path: Path, data_dir: Path, target: str | None
) -> None:
    load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=0)
    shards = [
        shard_in(tmp_path / "shard-1", f"{place}/shard-1", 0, 2),
        shard_in(tmp_path / "shard-2", f"{place}/shard-2", 1),
        shard_in(tmp_path / "shard-3", None, 3),
    ]
    together = shard_in(tmp_path / "all", target and f"{place}/{target}")

    counts = [gather_and_load(together, shards) for _ in range(2)]

    assert counts == [(2 if target == "shard-1" else 4, 4), (0, 0)]
    assert_same(read_warehouse(warehouse_path(together)), read_warehouse(warehouse_path(data_dir)))
    for store in (raw_store(shard) for shard in shards):
        for part in store.list_parts():
            assert raw_store(together).read_file(part) == store.read_file(part)


def test_a_bucket_that_refuses_is_named_and_no_key_is_shown(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_raw(tmp_path / RAW, named="s3://no-such-bucket/raw").list_parts()

    with pytest.raises(ConfigurationError) as no_lake:
        Lake("s3://no-such-bucket/lake").open()

    told = [str(refused.value), str(no_lake.value)]
    assert told[0].startswith("the bucket of s3://no-such-bucket/raw cannot be used: ")
    assert told[1].startswith("the lake s3://no-such-bucket/lake cannot be used: ")
    hint = " (address and credentials come from the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...)"
    assert [text.endswith(f"404 Not Found (NoSuchBucket){hint}") for text in told] == [True, True]
    # One line each, without what was asked and what the server sent.
    assert [sign for sign in ("marker-key", "?", "<", "\n") if sign in "".join(told)] == []


@pytest.mark.parametrize(
    ("place", "variables"),
    [
        ("s3://box/lake", "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ..."),
        ("gs://box", "GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT_KEY, ..."),
        ("az://box/lake", "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, ..."),
        ("abfss://box/lake", "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, ..."),
    ],
)
def test_each_kind_of_bucket_is_told_where_its_own_credentials_come_from(place: str, variables: str) -> None:
    assert hint_at(place) == f" (address and credentials come from the environment: {variables})"


def test_what_needs_files_says_so(data_dir: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match=f"pruning works on raw parts in a folder, these are in {place}/raw"):
        prune_parts(raw_store(data_dir), warehouse_path(data_dir), before=NOON, now=NOON, wait_s=0)
