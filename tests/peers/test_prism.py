"""Random valid bodies of the published description, served by Prism: each step is a row or a reject with a reason."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.json_text import decode_with
from pipeline.protocol.pages import Certificate, Page, Resource, Walk
from pipeline.protocol.wire import ListHead
from pipeline.raw.parts import RawStore, new_sync_id
from pipeline.raw.writer import PartWriter
from pipeline.warehouse.load import load_new_parts
from tests.peers.processes import PEERS, free_port, running
from tests.syncs import environ_for, read_all, run_cli

DESCRIPTION = Path(__file__).with_name("openapi.json")
LISTS = 150
KEY = "marker-key"
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    command = [
        "node",
        str(PEERS / "node_modules/.bin/prism"),
        "mock",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        str(DESCRIPTION),
    ]
    with running(command, port=port, log=tmp_path_factory.mktemp("prism") / "log"):
        yield f"http://127.0.0.1:{port}"


async def fetch_lists(prism: str, path: str, count: int) -> list[bytes]:
    """Bodies of that many lists, each made up anew, through the pipeline's own client."""
    headers = {"Authorization": f"Bearer {KEY}", "Prefer": "dynamic=true"}
    decode = decode_with(ListHead, "a list of the protocol")
    async with ApiClient(Endpoint(prism, headers=headers), Pacer(concurrency=4)) as client:
        params = [("limit", "100"), ("order", "asc")]
        answers = await asyncio.gather(
            *(client.get(path.format(number).split("/"), params, decode=decode) for number in range(count))
        )
    return [answer.body for answer in answers if _has_distinct_ids(answer.body)]


def _has_distinct_ids(body: bytes) -> bool:
    # Prism's ids are words of Latin and can be the same in one list, where the second would be taken for a later state.
    ids = [item["id"] for item in json.loads(body)["data"]]
    return len(ids) == len(set(ids))


def load_lists(bodies: list[bytes], resource: Resource, data_dir: Path) -> list[Any]:
    """Each list as a walk of its own into a warehouse; what went in, as of the thread and run it was asked of."""
    writer = PartWriter(RawStore(data_dir / "raw"), source="prism", sync_id=new_sync_id(AT))
    items = []
    for number, body in enumerate(bodies):
        page_items = json.loads(body)["data"]
        items += page_items
        # Prism makes up the parents too: items of others would be foreign.
        for item in page_items:
            item["thread_id"] = f"thread_{number}"
            if resource == "steps":
                item["run_id"] = f"run_{number}"
        certificate = Certificate(
            resource=resource,
            thread_id=f"thread_{number}",
            run_id=f"run_{number}" if resource == "steps" else None,
            started_at=AT,
            ended_at=AT,
            verdict="complete",
            pages=1,
            items=len(page_items),
            ended_by="has_more_false",
        )
        writer.add_walk(Walk(certificate, [Page(0, None, AT, None, json.dumps({"data": page_items}).encode())]))
    writer.land(writer.take_rows())
    load_new_parts(RawStore(data_dir / "raw"), data_dir / "warehouse.duckdb", wait_s=5)
    return items


def test_hundreds_of_random_valid_steps_become_rows_or_rejects_and_none_is_lost(prism: str, tmp_path: Path) -> None:
    bodies = asyncio.run(fetch_lists(prism, "threads/thread_{0}/runs/run_{0}/steps", LISTS))
    items = load_lists(bodies, "steps", tmp_path)

    rows = [row[0] for row in read_all(tmp_path, "select step_id from run_steps")]
    lost = read_all(tmp_path, "select count(*) from rejects where object_id is null")[0][0]
    assert len(items) >= 200
    assert len(rows) + lost == len(items)
    assert lost == 0
    assert sorted(rows) == sorted(item["id"] for item in items)
    unexplained = "select count(*) from rejects where coalesce(reason, '') = '' or coalesce(json_path, '') = ''"
    assert read_all(tmp_path, unexplained) == [(0,)]


def test_every_tool_call_of_random_valid_steps_is_a_row_with_its_own_text(prism: str, tmp_path: Path) -> None:
    bodies = asyncio.run(fetch_lists(prism, "threads/thread_{0}/runs/run_{0}/steps", LISTS))
    items = load_lists(bodies, "steps", tmp_path)

    calls = [call for item in items for call in item["step_details"].get("tool_calls", [])]
    functions = sorted(
        (call["function"]["name"], call["function"]["arguments"]) for call in calls if call["type"] == "function"
    )
    assert read_all(tmp_path, "select count(*) from tool_calls") == [(len(calls),)]
    assert sorted(read_all(tmp_path, "select name, arguments from tool_calls where type = 'function'")) == functions


def test_hundreds_of_random_valid_runs_become_rows_and_none_is_lost(prism: str, tmp_path: Path) -> None:
    bodies = asyncio.run(fetch_lists(prism, "threads/thread_{0}/runs", LISTS))
    items = load_lists(bodies, "runs", tmp_path)

    rows = [row[0] for row in read_all(tmp_path, "select run_id from runs")]
    assert len(items) >= 200
    assert sorted(rows) == sorted(item["id"] for item in items)


def test_the_published_example_comes_out_of_steps_get_as_prism_sent_it(prism: str, tmp_path: Path) -> None:
    environ = environ_for(OPENAI_BASE_URL=prism, OPENAI_API_KEY=KEY)

    done = run_cli(tmp_path, "steps", "get", "thread_1", "run_1", "step_1", environ=environ)

    path = f"{prism}/threads/thread_1/runs/run_1/steps/step_1"
    sent = httpx.get(path, headers={"Authorization": f"Bearer {KEY}"}).text
    assert (done.returncode, done.stdout) == (0, sent + "\n")


def test_prisms_429_is_waited_for_and_then_given_up_with_its_status(prism: str, tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(
        f'[profiles.default]\nbase_url = "{prism}"\nheaders = {{Prefer = "code=429"}}\nattempts = 2\n'
    )

    done = run_cli(tmp_path, "steps", "list", "thread_1", "run_1", environ=environ_for(OPENAI_API_KEY=KEY))

    assert (done.returncode, done.stdout) == (4, "")
    assert "HTTP 429" in done.stderr
