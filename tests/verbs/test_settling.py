"""Runs that have ended and do not say all: what a sync says of them, and what stays known once they are sealed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from pipeline.warehouse.checks import run_check
from pipeline.warehouse.database import warehouse_path
from tests.archived import run_object, step_object
from tests.asking import asked_url
from tests.attached import looking_into
from tests.syncs import read_all, run_cli

Json = dict[str, Any]
DAY_S = 86_400.0


def sync_thread(folder: Path, run: Json, steps: list[Json], *, settle_s: float = DAY_S) -> SyncResult:
    """A sync of a thread with this run and these steps."""
    lists = {"runs": [run], "steps": steps}

    def answer(request: httpx.Request) -> httpx.Response:
        items = lists[asked_url(request).path.rsplit("/", 1)[1]]
        return httpx.Response(200, json={"object": "list", "data": items, "has_more": False})

    async def sync() -> SyncResult:
        transport = httpx.MockTransport(answer)
        async with ApiClient(Endpoint("https://one.example/v1"), Pacer(concurrency=2), transport=transport) as client:
            extract = ExtractOptions(settle_s=settle_s)
            options = SyncOptions(source="main", data_dir=folder, thread_ids=["thread_1"], extract=extract)
            return await run_sync(client, options, progress=Progress())

    return asyncio.run(sync())


STEP = step_object("step_1", usage=run_object()["usage"])
UNSETTLED: dict[str, tuple[Json, list[Json], str]] = {
    "no usage": (run_object(total=None), [STEP], "no_usage"),
    "zero usage beside steps with tokens": (run_object(total=0), [STEP], "usage_differs"),
    "other usage than its steps'": (run_object(total=20), [STEP], "usage_differs"),
    "an open step": (run_object(), [STEP | {"status": "in_progress"}], "complete"),
}


@pytest.mark.parametrize("kind", UNSETTLED)
def test_every_sync_says_which_runs_are_not_settled(tmp_path: Path, kind: str) -> None:
    run, steps, _ = UNSETTLED[kind]

    ended = [sync_thread(tmp_path, run, steps) for _ in range(2)]

    for result in ended:
        assert result.kept is not None
        assert (result.verdict, list(result.kept.unsettled)) == ("complete", ["thread_1 run_1"])
        [note] = result.kept.notes
        assert note.startswith("1 run not settled yet (thread_1 run_1): ")


@pytest.mark.parametrize("kind", UNSETTLED)
def test_a_run_that_is_sealed_as_it_is_is_said_by_the_sync_and_by_check(tmp_path: Path, kind: str) -> None:
    run, steps, state = UNSETTLED[kind]

    result = sync_thread(tmp_path, run, steps, settle_s=0)

    assert result.kept is not None
    assert (list(result.kept.unsettled), list(result.kept.sealed_unsettled)) == ([], ["thread_1 run_1"])
    with looking_into(warehouse_path(tmp_path)) as connection:
        finding = run_check(connection, "sealed_unsettled")
    assert finding is not None
    assert (finding.level, finding.rows) == ("warn", 1)
    sql = read_sql_files("checks")["sealed_unsettled"].text.rstrip().removesuffix(";")
    assert read_all(tmp_path, f"select run_id, state, open_steps from ({sql}) as found") == [
        ("run_1", state, int(kind == "an open step"))
    ]


def test_a_run_that_says_all_is_not_spoken_of(tmp_path: Path) -> None:
    result = sync_thread(tmp_path, run_object(), [STEP], settle_s=0)

    assert result.kept is not None
    assert result.kept.notes == []
    with looking_into(warehouse_path(tmp_path)) as connection:
        assert run_check(connection, "sealed_unsettled") is None


@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        ({}, "complete"),
        ({"usage": "lots"}, "incomplete"),
        ({"created_at": "yesterday"}, "incomplete"),
        ({"status": {"is": "completed"}}, "incomplete"),
        ({"last_error": {"code": "server_error", "message": 3}}, "complete"),
    ],
)
def test_the_record_of_a_sync_says_what_its_exit_code_does(tmp_path: Path, step: Json, verdict: str) -> None:
    result = sync_thread(tmp_path, run_object(), [STEP | step])
    before = read_all(tmp_path, "select columns(*) from syncs")
    status = run_cli(tmp_path, "status", "--json", "--data-dir", ".")
    rebuilt = run_cli(tmp_path, "load", "--rebuild", "--data-dir", ".")

    assert (result.verdict, rebuilt.returncode) == (verdict, 4 if verdict == "incomplete" else 0)
    assert read_all(tmp_path, "select verdict from syncs") == [(verdict,)]
    assert read_all(tmp_path, "select columns(*) from syncs") == before
    assert [source["last_verdict"] for source in json.loads(status.stdout)["sources"]] == [verdict]
