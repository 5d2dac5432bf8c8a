"""Raw parts and a lake in a container of Azure, which is Azurite here."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.lakes import assert_same, read_lake, read_warehouse
from tests.peers.processes import PEERS, free_port, running
from tests.syncs import environ_for, run_cli

ACCOUNT = "markeraccount"
KEY = base64.b64encode(b"marker-key").decode()
CONTAINER = "box"
TOTALS = "select count(*) as steps, sum(total_tokens) as tokens, max(created_at) as last_at from run_steps"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that leads to one empty container."""
    port, main = free_port(), PEERS / "node_modules/azurite/dist/src/blob/main.js"
    flags = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    command = ["node", str(main), "--blobHost", "127.0.0.1", "--blobPort", str(port), *flags]
    log = tmp_path_factory.mktemp("azurite") / "log"
    with running(command, port=port, log=log, environ={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}):
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        make_container(endpoint)
        yield {
            "AZURE_STORAGE_ENDPOINT": endpoint,
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_ALLOW_HTTP": "true",
        }


def make_container(endpoint: str) -> None:
    """What obstore cannot do."""
    headers = {"x-ms-date": f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}", "x-ms-version": "2021-12-02"}
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    text = "PUT" + "\n" * 12 + lines + f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    signature = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    answer = httpx.put(f"{endpoint}/{CONTAINER}", params={"restype": "container"}, headers=headers)
    answer.raise_for_status()


def test_raw_parts_and_a_lake_in_an_azure_container_are_those_of_a_folder(
    azure: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, environ = f"az://{CONTAINER}", environ_for(None, **azure)
    commands = [
        ("sync", "--sample", "--quiet", "--raw", f"{place}/raw"),
        ("publish", "delta", f"{place}/lake", "--json"),
        ("publish", "delta", f"{place}/lake", "--json"),
        ("query", "--lake", f"{place}/lake", TOTALS, "--format", "csv"),
        ("query", TOTALS, "--format", "csv"),
    ]

    done = [run_cli(tmp_path, *command, environ=environ) for command in commands]

    assert [ended.returncode for ended in done] == [0] * len(commands), [ended.stderr for ended in done]
    assert [json.loads(ended.stdout)["parts"] > 0 for ended in done[1:3]] == [True, False]
    assert done[3].stdout == done[4].stdout
    for name, value in azure.items():
        monkeypatch.setenv(name, value)
    assert_same(read_lake(f"{place}/lake"), read_warehouse(tmp_path / "data" / "warehouse.duckdb"))
