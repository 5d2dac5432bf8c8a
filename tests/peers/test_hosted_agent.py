"""Responses of Microsoft's real server for hosted agents: chains, outputs, ids that it refuses, lists that it cuts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.peers.processes import PEERS, free_port, running
from tests.syncs import environ_for, read_all, run_cli

Json = dict[str, Any]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port, log = free_port(), tmp_path_factory.mktemp("agentserver") / "log"
    command = [str(PEERS / "agentserver/bin/python"), str(Path(__file__).with_name("agentserver_host.py")), str(port)]
    with running(command, port=port, log=log), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client


def create(host: httpx.Client, text: object, previous: Json | None = None, **more: object) -> Json:
    body = {"model": "gpt-5.4-mini", "input": text, **more}
    if previous is not None:
        body["previous_response_id"] = previous["id"]
    answer: Json = host.post("/responses", json=body).raise_for_status().json()
    return answer


def outputs(response: Json) -> list[Json]:
    calls = [item["call_id"] for item in response["output"] if item["type"] == "function_call"]
    return [{"type": "function_call_output", "call_id": call_id, "output": "sunny"} for call_id in calls]


def sync(folder: Path, host: httpx.Client, ids: list[str]) -> tuple[int, str]:
    (folder / "pipeline.toml").write_text(
        f'[profiles.default]\nkind = "responses"\nbase_url = "{host.base_url}"\nworkers = 1\n'
    )
    (folder / "app.log").write_text("\n".join(f"stored {response_id}" for response_id in ids))
    ended = run_cli(folder, "sync", "--responses", "app.log", environ=environ_for(OPENAI_API_KEY="x"))
    return ended.returncode, ended.stderr


def test_a_chain_has_its_usage_and_the_outputs_that_the_next_response_was_given(
    host: httpx.Client, tmp_path: Path
) -> None:
    first = create(host, "tools please")
    second = create(host, outputs(first), first)
    third = create(host, "thanks", second)
    code, said = sync(tmp_path, host, [third["id"], first["id"], second["id"]])

    assert code == 0, said
    folder = tmp_path / "data"
    assert set(read_all(folder, "select run_id, previous_run_id, total_tokens, sealed from runs")) == {
        (first["id"], None, 120, True),
        (second["id"], first["id"], 120, True),
        (third["id"], second["id"], 120, True),
    }
    assert (
        read_all(folder, "select run_id, name, output from tool_calls order by call_index")
        == [(first["id"], "get_weather", "sunny")] * 2
    )
    assert read_all(folder, "select * from rejects") == []


def test_an_id_that_it_refuses_or_does_not_keep_fails_alone(host: httpx.Client, tmp_path: Path) -> None:
    kept, unkept = create(host, "hello"), create(host, "hello", store=False)
    unknown = f"{kept['id'][:-4]}abcd"
    code, said = sync(tmp_path, host, [kept["id"], unkept["id"], unknown, "resp_malformed"])

    assert code == 4, said
    assert set(read_all(tmp_path / "data", "select thread_id, status from threads")) == {
        ("resp_malformed", "failed"),
        (unkept["id"], "missing"),
        (unknown, "missing"),
        (kept["id"], "synced"),
    }


def test_outputs_beyond_its_hundred_items_are_said_to_be_missing(host: httpx.Client, tmp_path: Path) -> None:
    response: Json | None = None
    for _ in range(50):
        response = create(host, "more", response)
    called = create(host, "tools please", response)
    answered = create(host, outputs(called), called)
    code, said = sync(tmp_path, host, [called["id"], answered["id"]])

    assert code == 4
    assert "ends after exactly 100 items and lacks outputs" in said
    assert read_all(tmp_path / "data", "select count(*), count(output) from tool_calls") == [(2, 0)]
