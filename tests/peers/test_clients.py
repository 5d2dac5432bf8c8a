"""An account that real clients dumped comes to the columns of a sync, but for what a client itself makes other."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from pipeline.emulator import generate_corpus, running_emulator
from tests.peers.processes import PEERS
from tests.peers.test_gateways import PASSING, TABLES, write_profile
from tests.syncs import ROOT, environ_for, read_tables, run_cli

HERE = Path(__file__).parent
COMMANDS = {
    "py": [str(PEERS / "clients/bin/python"), str(HERE / "dump_account.py")],
    "js": ["node", str(HERE / "dump_account.mjs")],
}
KEYS = ["thread_id", "run_id", "step_id", "call_index", "output_index", "result_index"]
# What only a walk of a list tells, and which part it was in.
OF_WALKS = {table: [*PASSING.get(table, ()), "sealed", "run_index"] for table in TABLES}
ORDER = {"runs.tools", "runs.extra", "file_search_results.content"}
NULLS = {"tool_calls.payload"}
# Which columns differ, or `TABLE` where rows are missing; docs/coverage.md says why.
DIFFERENCES: dict[tuple[str, str], set[str]] = {
    ("py-openai", "to_dict"): ORDER,
    ("py-openai", "to_json"): ORDER,
    ("py-openai", "model_dump"): ORDER | NULLS,
    ("py-openai", "model_dump_mode_json"): ORDER | NULLS,
    ("py-openai", "model_dump_json"): ORDER | NULLS,
    ("js-openai", "stringify"): {"runs.extra"},
    ("py-azure", "as_dict"): set(),
    ("py-azure", "encoder"): set(),
    ("js-azure", "stringify"): {
        "runs",
        "run_steps",
        "tool_calls",
        "code_interpreter_outputs",
        "file_search_results",
        "runs.cached_tokens",
        "runs.reasoning_tokens",
        "runs.tools",
        "runs.extra",
        "run_steps.expired_at",
        "run_steps.cached_tokens",
        "run_steps.reasoning_tokens",
        "run_steps.extra",
        "tool_calls.arguments",
        "tool_calls.output",
        "tool_calls.payload",
        "file_search_results.content",
        "file_search_results.attributes",
    },
    ("py-dashscope", "vars"): {"runs.tools", "runs.extra", "file_search_results.content"},
}
Tables = dict[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Dumps:
    """What a sync of an account gave, and for each client a folder of its dumps and the threads that it could read."""

    synced: Tables
    threads: dict[str, list[str]]
    folder: Path


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Dumps:
    folder = tmp_path_factory.mktemp("dumps")
    threads: dict[str, list[str]] = {}
    with running_emulator(generate_corpus(threads=40), dialect="plain") as server:
        ids = server.corpus.thread_ids()
        write_profile(folder, "main", kind="compatible", base_url=server.base_url, api_key_env="KEY")
        done = run_cli(folder, "sync", "--quiet", "--profile", "main", *ids, environ=environ_for(KEY=server.api_key))
        assert (done.returncode, done.stderr) == (0, "")
        for client in sorted({client for client, _ in DIFFERENCES}):
            language, name = client.split("-")
            place = folder / client
            place.mkdir()
            command = [*COMMANDS[language], name, server.base_url, server.api_key, str(place)]
            dumped = subprocess.run(
                command, cwd=PEERS, input="\n".join(ids), capture_output=True, text=True, check=False
            )
            assert dumped.returncode == 0, dumped.stderr[-2000:]
            threads[client] = dumped.stdout.split()
    return Dumps(read_tables(folder / "data", named=TABLES, without=OF_WALKS), threads, folder)


@pytest.mark.parametrize(("client", "spelling"), DIFFERENCES)
def test_a_dump_of_a_client_comes_to_the_columns_of_a_sync(
    client: str, spelling: str, dumps: Dumps, tmp_path: Path
) -> None:
    file = dumps.folder / client / f"{spelling}.jsonl"

    done = run_cli(tmp_path, "import", str(file), "--source", "main", "--quiet", environ=environ_for())

    # Of a list that is not whole the steps do not come to the usage of their run.
    assert done.returncode == (4 if "runs" in DIFFERENCES[client, spelling] else 0), done.stderr
    known = pl.col("thread_id").is_in(dumps.threads[client])
    expected = {name: table.filter(known) for name, table in dumps.synced.items()}
    imported = read_tables(tmp_path / "data", named=TABLES, without=OF_WALKS)
    assert differences(expected, imported) == DIFFERENCES[client, spelling]
    assert len(dumps.threads[client]) >= 30


def differences(expected: Tables, found: Tables) -> set[str]:
    """`TABLE` where a row is in one of both alone, `TABLE.COLUMN` where a row of both has another value."""
    differing = {name for name in expected if expected[name].height != found[name].height}
    for name, ours in expected.items():
        key = [column for column in KEYS if column in ours.columns]
        both = ours.join(found[name], on=key, how="inner", suffix="_found")
        assert both.height == min(ours.height, found[name].height)
        differing |= {
            f"{name}.{column}"
            for column in ours.columns
            if column not in key and not both[column].equals(both[f"{column}_found"].alias(column))
        }
    return differing


def test_metadata_is_one_group_whichever_client_it_came_through(dumps: Dumps, tmp_path: Path) -> None:
    for client, spelling in dict(sorted(DIFFERENCES)).items():
        run_cli(tmp_path, "import", str(dumps.folder / client / f"{spelling}.jsonl"), "--source", client)

    tables = read_tables(tmp_path / "data", named=["runs"])

    groups = tables["runs"].group_by("metadata").len()
    assert set(groups["metadata"]) == set(dumps.synced["runs"]["metadata"])
    assert groups.height > 5


def test_the_document_names_every_difference_and_the_versions_of_the_clients() -> None:
    coverage = (ROOT / "docs/coverage.md").read_text("utf-8")
    section = coverage.partition("## What clients make other\n")[2].partition("\n## ")[0]
    pins = (HERE / "clients-requirements.txt").read_text("utf-8") + (HERE / "package.json").read_text("utf-8")
    pinned = r'^ *"?(@azure/ai-agents|openai|azure-ai-agents|dashscope)(?:==|": ")([\d.]+)'
    versions = re.findall(pinned, pins, re.MULTILINE)

    said = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)`", section))
    assert {column for columns in DIFFERENCES.values() for column in columns} <= said
    assert len(versions) == 5
    assert [pair for pair in versions if " ".join(pair) not in section] == []
