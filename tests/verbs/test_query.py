"""`query` answers one reading statement, in four formats, and changes nothing."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ConfigurationError
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.verbs.query import run_query
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts
from tests.landed import Listing, land, run_of, step_of
from tests.syncs import environ_for, read_all, run_cli

USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
COST = (
    "select run_id, cost_usd, runs.created_at, sealed from run_costs inner join runs using (source, thread_id, run_id)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small warehouse in `data`."""
    folder = tmp_path_factory.mktemp("query")
    run = run_of("run_1", model="gpt-4o", created_at=1731000000, usage=USAGE)
    step = step_of("step_1", usage=USAGE, created_at=1731000001, completed_at=1731000003)
    store = raw_store(folder / "data")
    land(store, Listing(1, [run]), Listing(2, [step], run_id="run_1"), started=0, verdict="complete")
    load_new_parts(store, warehouse_path(folder / "data"), wait_s=0)
    return folder


def query(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_cli(folder, "query", *arguments)


@pytest.mark.parametrize("name", sorted(read_sql_files("queries")))
def test_every_named_query_answers(folder: Path, name: str) -> None:
    assert len(run_query(warehouse_path(folder / "data"), name, {}).columns) > 0


def test_the_list_has_every_named_query_with_what_it_answers(folder: Path) -> None:
    ended = query(folder, "--list")

    assert ended.returncode == 0
    assert [name for name in read_sql_files("queries") if name not in ended.stdout] == []


def test_an_unknown_name_is_answered_with_those_that_there_are(folder: Path) -> None:
    ended = query(folder, "top_toolz")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "there is no query named 'top_toolz'" in ended.stderr
    assert "top_tools" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_table_is_for_people(folder: Path) -> None:
    ended = query(folder, COST)

    assert [line.split() for line in ended.stdout.splitlines()] == [
        ["run_id", "cost_usd", "created_at", "sealed"],
        ["run_1", "2.50", "2024-11-07", "17:20:00", "yes"],
    ]


def test_csv_keeps_money_exact(folder: Path) -> None:
    ended = query(folder, COST, "--format", "csv")

    [row] = csv.DictReader(io.StringIO(ended.stdout))
    assert (row["run_id"], row["sealed"]) == ("run_1", "true")
    assert row["cost_usd"].rstrip("0") == "2.5"


def test_json_is_an_array_of_objects(folder: Path) -> None:
    ended = query(folder, "select run_id, total_tokens, instructions from runs", "--format", "json")

    assert json.loads(ended.stdout) == [{"run_id": "run_1", "total_tokens": 1_000_000, "instructions": None}]


def test_json_keeps_money_exact(folder: Path) -> None:
    ended = query(folder, "select 0.1234567890123456789::decimal(38, 19) as cost_usd", "--format", "json")

    assert json.loads(ended.stdout) == [{"cost_usd": "0.1234567890123456789"}]


def test_csv_has_lists_and_structures_as_json(folder: Path) -> None:
    ended = query(folder, "select ['a', 'b'] as letters, {'n': 1} as pair, null::varchar[] as none", "--format", "csv")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(csv.reader(io.StringIO(ended.stdout))) == [["letters", "pair", "none"], ['["a","b"]', '{"n":1}', ""]]


def test_parquet_keeps_the_types(folder: Path) -> None:
    with (folder / "out.parquet").open("wb") as file:
        command = ["-m", "pipeline", "query", COST, "--format", "parquet"]
        subprocess.run([sys.executable, *command], cwd=folder, env=environ_for(), stdout=file, check=True)

    frame = pl.read_parquet(folder / "out.parquet")
    assert frame.schema["created_at"] == pl.Datetime("us", "UTC")
    assert frame.schema["cost_usd"].is_decimal()
    assert frame["run_id"].to_list() == ["run_1"]


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_a_duration_is_text_in_every_format(folder: Path, output: str) -> None:
    ended = query(folder, "select completed_at - created_at as took from run_steps", "--format", output)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "00:00:02" in ended.stdout


def test_columns_with_one_name_are_numbered(folder: Path) -> None:
    ended = query(folder, "select 1 as n, 2 as n, interval 3 day as n, 4 as n_1", "--format", "csv")

    assert ended.stdout.splitlines() == ['"n","n_2","n_3","n_1"', '1,2,"3 days",4']


def test_sql_may_stand_on_several_lines(folder: Path) -> None:
    assert run_query(warehouse_path(folder / "data"), "select\n1\n", {}).rows() == [(1,)]


def test_a_table_of_less_than_no_rows_is_refused(folder: Path) -> None:
    assert query(folder, "top_tools", "--limit", "-1").returncode == 2


def test_other_formats_have_all_rows_unless_a_limit_is_given(folder: Path) -> None:
    sql = "select range as n from range(60)"

    assert len(query(folder, sql, "--format", "csv").stdout.splitlines()) == 61
    assert query(folder, sql, "--format", "csv", "--limit", "2").stdout.split() == ['"n"', "0", "1"]
    assert json.loads(query(folder, sql, "--format", "json", "--limit", "1").stdout) == [{"n": 0}]


def test_a_table_says_how_many_rows_it_left_out(folder: Path) -> None:
    few = query(folder, "select range as n from range(7)", "--limit", "3")
    everything = query(folder, "select range as n from range(7)", "--limit", "3", "--all")

    assert few.stdout.splitlines()[-1] == "(3 of 7 rows; --all prints them all)"
    assert everything.stdout.split() == ["n", "0", "1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize(
    "sql",
    [
        "delete from runs",
        "drop table runs",
        "update runs set model = 'x'",
        "create table x as select 1",
        "insert into prices select * from prices",
        "attach 'other.duckdb' as other",
        "copy runs to 'runs.csv'",
        "install httpfs",
        "pragma disable_progress_bar",
        "set threads = 1",
        "begin transaction",
        "explain analyze delete from runs",
    ],
)
def test_anything_but_reading_is_refused_and_changes_nothing(folder: Path, sql: str) -> None:
    before = {path for path in folder.rglob("*") if path.is_file()}

    with pytest.raises(ConfigurationError, match=r"only reads|DuckDB cannot"):
        run_query(warehouse_path(folder / "data"), sql, {})

    assert read_all(folder / "data", "select run_id, model from runs") == [("run_1", "gpt-4o")]
    assert {path for path in folder.rglob("*") if path.is_file()} == before


def test_a_write_is_refused_with_exit_code_2_and_where_to_do_it(folder: Path) -> None:
    ended = query(folder, "delete from runs")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "`query` only reads and this is DELETE" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("sql", ["select 1; select 2", "select 1; delete from runs"])
def test_several_statements_are_refused(folder: Path, sql: str) -> None:
    ended = query(folder, sql)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "one statement at a time" in ended.stderr


@pytest.mark.parametrize("sql", ["select nothing from nowhere", "selec 1 as one", "select 1 +"])
def test_sql_that_cannot_run_is_one_message(folder: Path, sql: str) -> None:
    ended = query(folder, sql)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "DuckDB cannot" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_parameters_go_into_sql_as_values(folder: Path) -> None:
    ended = query(folder, "select $text as text, 1 as n", "--param", "text='; drop table runs", "--format", "json")

    assert json.loads(ended.stdout) == [{"text": "'; drop table runs", "n": 1}]


def test_a_parameter_that_the_query_does_not_have_is_named(folder: Path) -> None:
    ended = query(folder, "top_tools", "--param", "colour=red")

    assert ended.returncode == 2
    assert "no parameter 'colour'" in ended.stderr


@pytest.mark.parametrize(("name", "value"), [("by", "colour"), ("per", "hour")])
def test_a_period_or_grouping_that_there_is_not_is_refused(folder: Path, name: str, value: str) -> None:
    ended = query(folder, "spend_by_period", "--param", f"{name}={value}")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{name} is" in ended.stderr


def test_what_if_of_a_model_without_a_price_is_refused_with_the_way_to_see_them(folder: Path) -> None:
    ended = query(folder, "what_if", "--param", "model=nope")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "nope has no price: python -m pipeline prices list shows the models that have one" in ended.stderr


def test_without_a_warehouse_the_next_command_is_told(tmp_path: Path) -> None:
    ended = query(tmp_path, "top_tools")

    assert ended.returncode == 2
    assert "sync --sample" in ended.stderr


def test_without_anything_to_ask_the_way_to_ask_is_told(folder: Path) -> None:
    assert "query --list" in query(folder).stderr
