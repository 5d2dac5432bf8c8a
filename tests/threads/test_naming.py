"""All ways to name the threads of a sync, alone and together."""

import json
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipeline.emulator import running_emulator
from pipeline.errors import ConfigurationError, PipelineError
from pipeline.threads.naming import Naming
from pipeline.threads.selection import Shard, parse_shard, parse_since
from pipeline.threads.sql import known_thread_ids, query_thread_ids, recent_thread_ids
from pipeline.warehouse.database import warehouse_path
from tests.archived import import_here, run_object, write_json
from tests.syncs import environ_for, read_all, run_cli, sync_here

MANY = Shard(3, 256)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("thread_id", "number"),
    [("thread_1", 1), ("thread_2", 2), ("thread_3", 2), ("thread_4", 2), ("thread_6", 3), ("thread_é", 2)],
)
def test_the_shard_of_a_thread_never_changes(thread_id: str, number: int) -> None:
    assert [shard for shard in (1, 2, 3) if Shard(shard, 3).takes(thread_id)] == [number]


def test_three_shards_have_every_thread_exactly_once_and_about_as_many_each() -> None:
    thread_ids = [f"thread_{number}" for number in range(3_000)]

    shards = [[t for t in thread_ids if Shard(number, 3).takes(t)] for number in (1, 2, 3)]

    assert sorted(t for shard in shards for t in shard) == sorted(thread_ids)
    assert [len(shard) for shard in shards] == [948, 1048, 1004]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1", "1/3/5", "-1/3", "a/b", ""])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--shard"):
        parse_shard(text)


def test_a_shard_is_read_from_its_number_and_the_number_of_all() -> None:
    assert parse_shard(" 2/16 ") == Shard(2, 16)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("30d", NOW - timedelta(days=30)),
        ("12h", NOW - timedelta(hours=12)),
        ("4w", NOW - timedelta(weeks=4)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00:00+02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_date(text: str, since: datetime) -> None:
    assert parse_since(text, now=NOW) == since


@pytest.mark.parametrize("text", ["30", "30 days", "yesterday", "d", "-1d", "999999w", "2026-13-01"])
def test_a_since_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--since"):
        parse_since(text, now=NOW)


def test_sql_takes_the_column_thread_id_wherever_it_stands_and_passes_over_null(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("name,thread_id\na,thread_1\nb,\nc,thread_2\n")

    assert list(query_thread_ids(f"from '{tmp_path}/ids.csv' select name, thread_id", tmp_path / "none")) == [
        "thread_1",
        "thread_2",
    ]


def test_sql_takes_its_only_column_whatever_its_name(tmp_path: Path) -> None:
    assert list(query_thread_ids("select 't' || x from range(2) as r(x)", tmp_path / "none")) == ["t0", "t1"]


def test_sql_reads_the_warehouse_and_other_databases_and_changes_neither(tmp_path: Path) -> None:
    import_here(tmp_path / "data", write_json(tmp_path / "run.json", run_object()))
    with duckdb.connect(tmp_path / "app.duckdb") as connection:
        connection.execute("create table chats as select 'thread_7' as thread_id")
    sql = f"""
        attach '{tmp_path}/app.duckdb' as app (read_only);
        select thread_id from warehouse.threads union all select thread_id from app.chats
    """

    assert list(query_thread_ids(sql, warehouse_path(tmp_path / "data"))) == ["thread_1", "thread_7"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("drop table warehouse.threads", "takes a SELECT and this is DROP"),
        ("copy (select 1) to 'x.csv'", "takes a SELECT and this is COPY"),
        ("create table t (x int); select 1", "only reads"),
        ("attach 'new.duckdb' as app; select 1", "only reads"),
        ("attach 'new.duckdb' as app (read_only false); select 1", "only reads"),
        ("attach 'new.duckdb' as app /* (read_only) */; select 1", "only reads"),
        ("attach 'new.duckdb' as app -- (read_only)\n; select 1", "only reads"),
        ("attach 'new (read_only).duckdb' as app; select 1", "only reads"),
        ("attach 'new.duckdb' as \"(read_only)\"; select 1", "only reads"),
        ("attach 'new.duckdb' as app (block_size 16384, read_only false); select 1", "only reads"),
        ("attach or replace 'new.duckdb' as app; select 1", "only reads"),
        ("attach 'new.duckdb' as app (read_only); select 1", "there is no file new.duckdb"),
        ("attach ':memory:' as app (read_only); select 1", "there is no file :memory:"),
        ("attach 'https://127.0.0.1:9/x.db' as app (read_only); select 1", "there is no file https:"),
        ("attach 'x.db' as app (read_only, type sqlite); select 1", "only reads"),
        ("install httpfs; select 1", "only reads"),
        ("load httpfs; select 1", "only reads"),
        ("set threads = 1; select 1", "only reads"),
        ("export database 'made'; select 1", "only reads"),
        ("copy (select 1) to 'made.csv'; select 1", "only reads"),
        ("explain analyze copy (select 1) to 'made.csv'", "takes a SELECT and this is EXPLAIN"),
        ("select 1; copy (select 1) to 'made.csv'", "takes a SELECT and this is COPY"),
        ("with made as (copy (select 1) to 'made.csv') select 't'", "only reads|cannot run this"),
        ("with made as (copy (select 1) to 'made.csv') select * from made", "only reads|cannot run this"),
        ("select 't' from enable_logging(storage = 'file', storage_path = 'made')", "only reads|cannot run this"),
        ("select 't' from enable_profiling(save_location = 'made.json')", "only reads|cannot run this"),
        ("select getenv('HOME')", "cannot run this"),
        ("select * from 'https://127.0.0.1:9/x.csv'", "cannot run this"),
        ("from sql", "cannot run this"),
        ("select * from nowhere", "cannot run this"),
        ("selct 1", "cannot run this"),
        ("", "this is nothing"),
        ("select 'a' as customer, 'thread_1' as chat", "none of them is named 'thread_id': customer, chat"),
        ("select '..' as thread_id", "row 1: '..' cannot be a thread id"),
    ],
)
def test_sql_that_does_not_read_ids_is_refused_and_makes_nothing(
    tmp_path: Path, sql: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(PipelineError, match=message):
        list(query_thread_ids(sql, tmp_path / "none"))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "statements",
    [
        "create view ids as select 't' from enable_profiling(save_location = 'made.json')",
        "create macro ids() as table select 't' from enable_profiling(save_location = 'made.json')",
    ],
)
def test_what_a_database_of_others_has_in_store_does_not_write_either(
    tmp_path: Path, statements: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with duckdb.connect("app.duckdb") as connection:
        connection.execute(statements)
    name = "ids()" if "macro" in statements else "ids"

    with pytest.raises(ConfigurationError):
        list(query_thread_ids(f"attach 'app.duckdb' as app (read_only); from app.main.{name}", tmp_path / "none"))

    assert [path.name for path in tmp_path.iterdir()] == ["app.duckdb"]


@pytest.mark.parametrize(
    "attach",
    [
        "attach '{file}' as app (read_only)",
        "ATTACH DATABASE '{file}' AS \"app\" ( READ_ONLY ) ;",
        "-- ours\n/* the app's */ attach '{file}' as app (read_only true)",
    ],
)
def test_a_database_is_attached_by_us_and_stays_as_it_is(tmp_path: Path, attach: str) -> None:
    file = tmp_path / "it's.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("create table chats as select 'thread_7' as thread_id")
    before = file.read_bytes()
    quoted = str(file).replace("'", "''")

    ids = list(query_thread_ids(f"{attach.format(file=quoted)}; from app.chats", tmp_path / "none"))

    assert (ids, file.read_bytes(), list(tmp_path.iterdir())) == (["thread_7"], before, [file])


def three_threads(data_dir: Path) -> Path:
    """A warehouse: thread_old and thread_new were synced, thread_archived is from an archive."""
    runs = [run_object("run_1", thread_id="thread_archived", created_at=1_600_000_000)]
    import_here(data_dir, write_json(data_dir.parent / "runs.json", runs), source="default")
    with duckdb.connect(warehouse_path(data_dir)) as connection:
        for thread_id, created_at in (("thread_old", "2026-01-01 00:00Z"), ("thread_new", "2026-11-01 00:00Z")):
            connection.execute(
                "insert into threads by name select 'default' as source, ? as thread_id, 'synced' as status,"
                " 1 as run_count, '2026-11-02 00:00Z'::timestamptz as first_seen_at",
                [thread_id],
            )
            connection.execute(
                "insert into runs by name select 'default' as source, ? as run_id, ? as thread_id,"
                " 'completed' as status, ?::timestamptz as created_at, true as sealed, 0 as run_index,"
                " '2026-11-02 00:00Z'::timestamptz as observed_at, 'w' as walk_id, 0 as page_index",
                [f"run_of_{thread_id}", thread_id, created_at],
            )
    return warehouse_path(data_dir)


def test_known_threads_are_those_of_the_source(tmp_path: Path) -> None:
    warehouse = three_threads(tmp_path / "data")

    assert list(known_thread_ids(warehouse, source="default")) == ["thread_new", "thread_old", "thread_archived"]
    assert list(known_thread_ids(warehouse, source="other")) == []


def test_since_passes_over_synced_threads_without_a_young_run_and_takes_those_never_synced(tmp_path: Path) -> None:
    warehouse = three_threads(tmp_path / "data")
    named = ["thread_unheard_of", "thread_old", "thread_new", "thread_archived"]

    recent = recent_thread_ids(named, warehouse, source="default", since=NOW - timedelta(days=30))

    assert recent == ["thread_unheard_of", "thread_new", "thread_archived"]


def test_all_ways_combine_each_thread_once_and_are_then_narrowed(tmp_path: Path) -> None:
    warehouse = three_threads(tmp_path / "data")
    (tmp_path / "ids.txt").write_text("thread_file\nthread_new\n")
    naming = Naming(
        ["thread_argument"],
        [str(tmp_path / "ids.txt")],
        ["select 'thread_sql' union all select 'thread_file'"],
        known=True,
        since=NOW - timedelta(days=30),
    )

    named = list(naming.read(warehouse, source="default").ids)

    assert named == [
        "thread_argument",
        "thread_file",
        "thread_new",
        "thread_sql",
        "thread_old",
        "thread_archived",
    ]
    selection = naming.select(named, warehouse, source="default", now=NOW)
    assert selection.thread_ids == [t for t in named if t != "thread_old"]


def name_in(folder: Path, kind: str, ids: Sequence[str]) -> Naming:
    """The same threads, named in a file or by a query, for one shard of many."""
    path = folder / "ids"
    if kind == "parquet":
        pl.DataFrame({"thread_id": ids}).write_parquet(path)
    elif kind == "jsonl":
        path.write_text("".join(f'{{"thread_id":"{thread_id}"}}\n' for thread_id in ids))
    else:
        path.write_text("\n".join(["thread_id", *ids]) if kind == "csv" else "\n".join(ids))
    query = f"select column0 as thread_id from read_csv('{path}', header=false)"
    return Naming(queries=[query], shard=MANY) if kind == "sql" else Naming(files=[str(path)], shard=MANY)


@pytest.mark.parametrize("kind", ["lines", "csv", "jsonl", "parquet", "sql"])
def test_of_many_threads_a_shard_holds_only_its_own(tmp_path: Path, kind: str) -> None:
    ids = [f"thread_{number:024}" for number in range(60_000)]
    naming = name_in(tmp_path, kind, ids)

    tracemalloc.start()
    named = naming.read(tmp_path / "none", source="default")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert list(named.ids) == [thread_id for thread_id in ids if MANY.takes(thread_id)]
    assert named.count == 60_000
    # All of them are 5 MB; batches of queries and Parquet are some thousands.
    assert peak_bytes < 4_000_000


def test_of_a_registry_of_many_threads_a_shard_takes_its_own_in_their_order(tmp_path: Path) -> None:
    warehouse = three_threads(tmp_path / "data")
    shards = [Naming(known=True, shard=Shard(number, 2)).read(warehouse, source="default") for number in (1, 2)]

    assert [list(named.ids) for named in shards] == [["thread_new", "thread_old"], ["thread_archived"]]


def test_threads_of_other_shards_are_kept_as_hashes_where_they_are_wanted(tmp_path: Path) -> None:
    named = Naming(["thread_1", "thread_2", "thread_1"], shard=Shard(1, 3)).read(
        tmp_path / "none", source="default", keeps_others=True
    )

    assert list(named.ids) == ["thread_1"]
    assert named.others is not None
    assert [(hashed % 3 + 1, named.others.itemsize) for hashed in named.others] == [(2, 8)]


def test_a_shard_that_no_named_thread_belongs_to_asks_nothing_and_ends_well(tmp_path: Path) -> None:
    environ = environ_for(OPENAI_API_KEY="marker-key", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    ended = run_cli(tmp_path, "sync", "thread_1", "--shard", "2/3", "--quiet", environ=environ)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_three_shards_of_a_sync_fetch_what_one_sync_fetches(tmp_path: Path) -> None:
    with running_emulator(threads=12) as server:
        (tmp_path / "ids.txt").write_text("\n".join(server.corpus.thread_ids()))
        environ = environ_for(server)
        codes = [
            run_cli(
                tmp_path, "sync", "--threads", "ids.txt", "--shard", f"{i}/3", "--data-dir", "data", environ=environ
            ).returncode
            for i in (1, 2, 3)
        ]
        runs, steps = server.truth().runs, server.truth().steps

    assert codes == [0, 0, 0]
    counts = "select (select count(*) from threads), (select count(*) from runs), (select count(*) from run_steps)"
    assert read_all(tmp_path / "data", counts) == [(12, runs, steps)]


def test_known_threads_of_a_shard_are_synced_again(tmp_path: Path) -> None:
    with running_emulator(threads=6, phase=1) as server:
        sync_here(server, tmp_path / "data")
        server.clear_requests()

        ended = run_cli(
            tmp_path, "sync", "--known", "--shard", "1/2", "--json", "--data-dir", "data", environ=environ_for(server)
        )

        taken = [t for t in server.corpus.thread_ids() if Shard(1, 2).takes(t)]
        asked = {entry["path"].split("/threads/")[1].split("/")[0] for entry in server.requests()}
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["threads"] == len(taken)
    assert asked == set(taken)


def test_a_sync_of_threads_that_are_all_passed_over_asks_nothing_and_ends_well(tmp_path: Path) -> None:
    with running_emulator(threads=3, phase=1) as server:
        sync_here(server, tmp_path / "data")
        server.clear_requests()

        ended = run_cli(
            tmp_path, "sync", "--known", "--since", "1h", "--quiet", "--data-dir", "data", environ=environ_for(server)
        )

        assert server.requests() == []
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--threads-sql"),
        (("--known",), "the registry of source 'default'"),
        (("--threads-sql", "select 'x' where false"), "no thread ids in the result of --threads-sql"),
        (("t", "--shard", "5/4"), "the shards of n are numbered 1/n to n/n"),
        (("t", "--since", "soon"), "neither an age"),
    ],
)
def test_a_sync_that_names_no_thread_says_how_to(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    environ = environ_for(OPENAI_API_KEY="marker-key", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    ended = run_cli(tmp_path, "sync", *arguments, environ=environ)

    assert ended.returncode == 2
    assert message in ended.stderr
