"""What OpenAI's own client dumps of responses, imported, is what a sync of the same responses brings."""

import contextlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pipeline.emulator import running_emulator
from tests.peers.processes import PEERS
from tests.syncs import environ_for, read_tables, run_cli

# Where and when it was seen. Whether a run is sealed no archive tells.
SEEN = ["walk_id", "page_index", "observed_at", "sealed", "run_index", "source"]
TABLES = {
    "runs": SEEN,
    "run_steps": [*SEEN, "step_index"],
    "tool_calls": ["source"],
    "code_interpreter_outputs": ["source"],
    "file_search_results": ["source"],
}


def test_what_its_client_dumps_is_what_a_sync_brings(tmp_path: Path) -> None:
    with running_emulator(threads=1, phase=1) as server:
        # Those that go on from nothing: what is put into the next is in no dump of one.
        histories = [h for story in server.emulation.successors.stories for h in story.histories[:6]]
        ids = [h.after["id"] for h in histories if not any(i["type"] == "function_call" for i in h.after["output"])]

        assert dumped_and_synced(tmp_path, server.base_url, server.api_key, ids) == len(ids) > 50


def dumped_and_synced(folder: Path, base_url: str, key: str, ids: Sequence[str]) -> int:
    """How many responses there are, the same in every column whether its client dumped them or a sync fetched them."""
    command = [str(PEERS / "litellm/bin/python"), str(Path(__file__).with_name("openai_client.py"))]
    done = subprocess.run([*command, base_url, key, *ids], capture_output=True, text=True, check=True, timeout=120)
    (folder / "dump.jsonl").write_text(done.stdout)
    (folder / "ids.txt").write_text("\n".join(ids))
    (folder / "pipeline.toml").write_text(
        f'[profiles.default]\nkind = "responses"\nbase_url = "{base_url}"\nworkers = 1\n'
    )
    environ = environ_for(OPENAI_API_KEY=key)
    synced = run_cli(folder, "sync", "--responses", "ids.txt", "--data-dir", "synced", environ=environ)
    imported = run_cli(folder, "import", "dump.jsonl", "--data-dir", "imported", environ=environ)
    assert (synced.returncode, imported.returncode) == (0, 0), synced.stderr + imported.stderr

    rows, others = (read_tables(folder / name, named=list(TABLES), without=TABLES) for name in ("synced", "imported"))
    assert [name for name in TABLES if not same(rows[name], others[name])] == []
    return rows["runs"].height


def same(rows: pl.DataFrame, others: pl.DataFrame) -> bool:
    """Value by value; in JSON the client adds nulls, sorts names, and makes floats of some numbers."""
    return sorted(map(str, spelled(rows))) == sorted(map(str, spelled(others)))


def spelled(frame: pl.DataFrame) -> list[list[object]]:
    return [[said(value) for value in row] for row in frame.iter_rows()]


def said(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            return said(json.loads(value))
    if isinstance(value, dict):
        return {name: found for name in sorted(value) if (found := said(value[name])) is not None} or None
    if isinstance(value, list):
        return [said(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
