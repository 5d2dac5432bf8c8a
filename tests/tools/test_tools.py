"""Tools that people open the warehouse with find in it what we find."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.syncs import ROOT, read_all, run_cli

HERE = Path(__file__).parent
# What `make test-tools` installs.
TOOLS = ROOT / ".tools"
PYTHON = [str(TOOLS / "python/bin/python"), str(HERE / "open_with.py")]
WITH_PYTHON = ("duckdb", "cli", "pandas", "polars", "sqlalchemy", "harlequin", "marimo", "jupysql")
COSTS = """
select model, count(*) as runs, sum(total_tokens)::bigint as tokens, cast(sum(cost_usd) as decimal(18, 6)) as cost,
    cast(max(created_at) at time zone 'UTC' as varchar) as latest,
    (select min(metadata ->> 'customer') from runs) as customer
from run_costs where cost_usd is not null group by model order by model
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert run_cli(folder, "sync", "--sample", "--quiet").returncode == 0
    return folder / "data"


def ask(command: list[str], warehouse: Path, sql: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    one_line = " ".join(sql.split())
    return subprocess.run(
        [*command, str(warehouse / "warehouse.duckdb"), one_line],
        cwd=TOOLS,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )


COMMANDS = {
    **{tool: [*PYTHON, tool] for tool in WITH_PYTHON},
    "node": ["node", str(HERE / "open_with.mjs")],
}


@pytest.mark.parametrize("tool", COMMANDS)
def test_a_tool_finds_what_we_find(tool: str, warehouse: Path) -> None:
    done = ask(COMMANDS[tool], warehouse, COSTS)

    assert done.returncode == 0, done.stderr[-2000:]
    found = [tuple(row) for row in json.loads(done.stdout)]
    expected = [tuple(map(str, row)) for row in read_all(warehouse, COSTS)]
    assert sorted(found) == sorted(expected)
    assert len(found) > 5


def test_ibis_reads_it_with_duckdb_15_and_fails_with_20(warehouse: Path) -> None:
    """docs/upstream.md: ibis 12 calls a method that duckdb 2.0 has no more."""
    new = ask([*PYTHON, "ibis"], warehouse, COSTS)
    old = ask([*PYTHON, "ibis"], warehouse, COSTS, PYTHONPATH=str(TOOLS / "duckdb15"))

    assert "has no attribute 'fetch_arrow_table'" in new.stderr
    assert json.loads(old.stdout) == [[str(value) for value in row] for row in read_all(warehouse, COSTS)]


def test_the_document_has_the_versions_that_are_installed() -> None:
    page = (ROOT / "docs/tools.md").read_text("utf-8")
    pins = dict(
        line.split()[0].split("==")
        for line in (HERE / "requirements.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    node = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    named = (
        "duckdb",
        "duckdb-cli",
        "pandas",
        "polars",
        "marimo",
        "jupysql",
        "harlequin",
        "sqlalchemy",
        "duckdb-engine",
    )
    versions = {**{name: pins[name] for name in (*named, "ibis-framework")}, **node}

    assert [f"{name} {version}" for name, version in versions.items() if f"{name} {version}" not in page] == []
