"""What recorders keep of walks comes to the rows of a sync, or is named for what it is."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.emulator import generate_corpus, running_emulator
from tests.peers.processes import free_port, running
from tests.peers.test_clients import OF_WALKS, Tables
from tests.peers.test_gateways import TABLES, write_profile
from tests.syncs import ROOT, environ_for, read_tables, run_cli

# What `make test-recorders` installs.
RECORDERS = ROOT / ".recorders"
HERE = Path(__file__).parent
PYTHON = [str(RECORDERS / "python/bin/python"), str(HERE / "record.py")]
NODE = ["node", str(HERE / "record.mjs")]
# By what is imported: how it was recorded, as what.
WHOLE: dict[str, list[str]] = {
    "vcr.yaml": [*PYTHON, "vcr"],
    "vcr.json": [*PYTHON, "vcr"],
    "betamax.json": [*PYTHON, "betamax"],
    "responses.yaml": [*PYTHON, "responses"],
    "polly": [*NODE, "polly"],
    "embed/account.har": [*NODE, "playwright"],
    "attach/account.har": [*NODE, "playwright"],
}
NAMED: dict[str, tuple[list[str], str]] = {
    "attach/account.zip": ([*NODE, "playwright"], "a ZIP file: unpack it and import what is in it"),
    "omit/account.har": ([*NODE, "playwright"], "an answer that was recorded without its content"),
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a sync of an account gave, and the folder of its recordings."""

    synced: Tables
    folder: Path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    commands = WHOLE | {name: command for name, (command, _) in NAMED.items()}
    with running_emulator(generate_corpus(threads=6), dialect="plain") as server:
        ids = server.corpus.thread_ids()
        write_profile(folder, "main", kind="compatible", base_url=server.base_url, api_key_env="KEY")
        done = run_cli(folder, "sync", "--quiet", "--profile", "main", *ids, environ=environ_for(KEY=server.api_key))
        assert (done.returncode, done.stderr) == (0, "")
        for name, command in commands.items():
            (folder / name).parent.mkdir(exist_ok=True)
            # Of Playwright's the folder says what becomes of contents.
            record([*command, server.base_url, server.api_key, str(folder / name), Path(name).parent.name], ids)
        port = free_port()
        proxy = [str(RECORDERS / "mitmproxy/bin/mitmdump"), "-q", "--listen-host", "127.0.0.1", "-p", str(port)]
        kept = ["--set", f"hardump={folder}/mitmproxy.har", "-w", f"{folder}/mitmproxy.flows"]
        own = ["--set", f"confdir={folder}/own"]
        with running([*proxy, *kept, *own], port=port, log=folder / "log"):
            address = f"http://127.0.0.1:{port}"
            record([*PYTHON, "proxy", server.base_url, server.api_key, str(folder), address], ids)
    return Recorded(read_tables(folder / "data", named=TABLES, without=OF_WALKS), folder)


def record(command: list[str], thread_ids: list[str]) -> None:
    environ = os.environ | {"CHROMIUM": os.environ.get("CHROMIUM", "/usr/bin/chromium")}
    ids = "\n".join(thread_ids)
    done = subprocess.run(command, cwd=RECORDERS, env=environ, input=ids, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", [*WHOLE, "mitmproxy.har"])
def test_a_recording_comes_to_the_rows_of_a_sync(name: str, recorded: Recorded, tmp_path: Path) -> None:
    done = run_cli(tmp_path, "import", str(recorded.folder / name), "--source", "main", "--quiet")

    assert done.returncode == 0, done.stderr
    imported = read_tables(tmp_path / "data", named=TABLES, without=OF_WALKS)
    assert [table for table in TABLES if not imported[table].equals(recorded.synced[table])] == []
    assert recorded.synced["file_search_results"]["content"].n_unique() > 1


@pytest.mark.parametrize("name", [*NAMED, "mitmproxy.flows"])
def test_what_cannot_be_read_of_a_recording_is_named(name: str, recorded: Recorded, tmp_path: Path) -> None:
    done = run_cli(tmp_path, "import", str(recorded.folder / name), "--source", "main", "--quiet")

    assert done.returncode == 4
    assert (NAMED[name][1] if name in NAMED else "flows of mitmproxy: write them as HAR") in done.stderr
