"""Input that means harm: ids that look like paths or SQL, folders with quotes, archives that unpack to very much."""

import asyncio
import json
import sys
import tracemalloc
from pathlib import Path

import pytest

from pipeline.archives.files import read_documents
from pipeline.archives.large import Damage
from pipeline.archives.progress import ImportProgress
from pipeline.extract.fetching import Progress
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.verbs.archive_import import ImportRequest, run_import
from pipeline.verbs.sync.flow import SyncOptions, run_sync
from tests.archived import NOW
from tests.fake_clock import FakeClock
from tests.landed import run_of, step_of
from tests.scripted_server import ScriptedServer, list_body, reply
from tests.syncs import read_all, run_cli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Each would lead out of the folder, name another file, or end a statement, if it ever became one.
ODD_IDS = [
    "../../../outside",
    "/tmp/outside",
    "..\\outside",
    "a\x00b",
    "x'); drop table runs; --",
    "C:\\outside",
    "~/x",
]


def files_outside(folder: Path) -> list[str]:
    """Files below the folder that are none of those that a data folder has."""
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    kinds = (".parquet", ".flat", "warehouse.duckdb", "warehouse.duckdb.lock", "warehouse.duckdb.wal")
    inside = {str(name) for name in names if name.parts[0] == "data" and str(name).endswith(kinds)}
    return sorted(str(name) for name in names if str(name) not in inside and str(name) != "dump.jsonl")


def test_ids_of_an_archive_are_values_and_never_names_of_files(tmp_path: Path) -> None:
    lines = []
    for odd in ODD_IDS:
        run = run_of(odd, created_at=1_700_000_000) | {"thread_id": odd}
        lines += [run, step_of(odd, created_at=1_700_000_001) | {"run_id": odd, "thread_id": odd}]
    (tmp_path / "dump.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    request = ImportRequest([str(tmp_path / "dump.jsonl")], "archive", tmp_path / "data")

    run_import(request, progress=ImportProgress(), now=lambda: NOW)

    found = read_all(tmp_path / "data", "select thread_id, run_id, step_id from run_steps order by all")
    assert found == [(odd, odd, odd) for odd in sorted(ODD_IDS)]
    assert files_outside(tmp_path) == []


def test_ids_of_a_server_are_values_and_never_names_of_files(tmp_path: Path) -> None:
    odd = "../../../outside"

    async def run() -> list[str]:
        script = [reply(200, list_body(odd)), reply(200, list_body(f"{odd}/step"))]
        async with ScriptedServer(script) as server:
            options = SyncOptions(source="main", data_dir=tmp_path / "data", thread_ids=["thread/../1"])
            endpoint = Endpoint(server.base_url)
            async with ApiClient(endpoint, Pacer(concurrency=1), clock=FakeClock().clock()) as client:
                await run_sync(client, options, progress=Progress())
            return [seen.target.partition("?")[0] for seen in server.seen]

    targets = asyncio.run(run())

    assert targets[0] == "/v1/threads/thread%2F..%2F1/runs"
    assert targets[1] == "/v1/threads/thread%2F..%2F1/runs/..%2F..%2F..%2Foutside/steps"
    assert files_outside(tmp_path) == []


def test_a_data_folder_whose_name_looks_like_sql_is_a_folder(tmp_path: Path) -> None:
    name = "o'brien'; drop table runs; --"
    lines = json.dumps(run_of("run_1", created_at=1_700_000_000))
    (tmp_path / "dump.jsonl").write_text(lines)
    request = ImportRequest([str(tmp_path / "dump.jsonl")], "archive", tmp_path / name)

    run_import(request, progress=ImportProgress(), now=lambda: NOW)

    ended = run_cli(tmp_path, "query", "select count(*) as runs from runs", "--format", "csv", "--data-dir", name)
    assert (ended.returncode, ended.stdout) == (0, '"runs"\n1\n'), ended.stderr


@pytest.mark.parametrize("packed", ["one frame", "packed twice"])
def test_a_zstd_file_that_unpacks_to_very_much_is_refused_in_little_memory(tmp_path: Path, packed: str) -> None:
    content = zstd.compress(b'[{"id":"' + b"x" * 300_000_000 + b'"}]', 3)
    path = tmp_path / "bomb.json.zst"
    path.write_bytes(content if packed == "one frame" else zstd.compress(content))
    assert path.stat().st_size < 100_000
    tracemalloc.start()

    *_, last = read_documents(path, whole_bytes=10_000)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(last, Damage)
    assert peak < 20_000_000
