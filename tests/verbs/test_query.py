"""`query` answers one reading statement, in every format, and changes nothing."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from pipeline.console.tables import frame_table
from pipeline.errors import ConfigurationError
from pipeline.money.periods import parse_days
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.verbs.query.command import ask
from pipeline.verbs.query.output import Look, render
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts
from tests.landed import Listing, land, run_of, step_of
from tests.publish_parts import publish
from tests.syncs import environ_for, run_cli

USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
COST = (
    "select run_id, cost_usd, runs.created_at, sealed from run_costs inner join runs using (source, thread_id, run_id)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small warehouse in `data`."""
    folder = tmp_path_factory.mktemp("query")
    run = run_of("run_1", model="gpt-4o", created_at=1731000000, usage=USAGE, metadata={"customer": "northwind"})
    step = step_of("step_1", usage=USAGE, created_at=1731000001, completed_at=1731000003)
    store = raw_store(folder / "data")
    land(store, Listing(1, [run]), Listing(2, [step], run_id="run_1"), started=0, verdict="complete")
    load_new_parts(store, warehouse_path(folder / "data"), wait_s=0)
    return folder


@pytest.fixture(scope="module")
def small_lake(folder: Path) -> Path:
    """The same as a lake."""
    publish(folder / "data", folder / "lake", batch_bytes=6_000)
    return folder / "lake"


def query(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_cli(folder, "query", *arguments)


@pytest.mark.parametrize("name", sorted(read_sql_files("queries")))
def test_every_named_query_answers(folder: Path, name: str) -> None:
    assert len(ask(warehouse_path(folder / "data"), name, {}).frame.columns) > 0


def test_the_list_has_every_named_query_with_what_it_answers(folder: Path) -> None:
    ended = query(folder, "--list")

    assert ended.returncode == 0
    assert [name for name in read_sql_files("queries") if name not in ended.stdout] == []


def test_an_unknown_name_is_answered_with_those_that_there_are(folder: Path) -> None:
    ended = query(folder, "top_toolz")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "there is no query, table or view named 'top_toolz': did you mean top_tools" in ended.stderr
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

    assert ended.stdout == '[{"cost_usd":0.1234567890123456789}]\n'


def test_json_may_have_exact_numbers_as_texts(folder: Path) -> None:
    ended = query(folder, "select 2.50::decimal(38, 2) as cost_usd", "--json", "--decimal-strings")

    assert ended.stdout == '[{"cost_usd":"2.50"}]\n'


def test_columns_of_json_are_nested_in_json(folder: Path) -> None:
    sql = """select '{"a": [1, 12345678901234567890.5]}'::json as found, 1 as n"""

    assert query(folder, sql, "--json").stdout == '[{"found":{"a": [1, 12345678901234567890.5]},"n":1}]\n'
    assert query(folder, sql, "--format", "jsonl").stdout == '{"found":{"a": [1, 12345678901234567890.5]},"n":1}\n'


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


# Values that were lost, made up or fatal in one format or all; and what JSON has of them.
ODD_VALUES = {
    "interval 2 day": "2 days",
    "[interval 1 hour, null]": ["01:00:00", None],
    "{'a': interval 1 day, 'b': 1.50::decimal(5, 2)}": {"a": "1 day", "b": Decimal("1.5")},
    "map {'a': [interval 1 day]}": {"a": ["1 day"]},
    "map {1: 2}": {"1": 2},
    "map {[1]: {'x': null::int}}": {"[1]": {"x": None}},
    "union_value(n := 1)": "1",
    "[union_value(n := 1)]": ["1"],
    "{'a': 1}::variant": "{'a': 1}",
    "'POINT (1 2)'::geometry": "POINT (1 2)",
    "'101'::bit": "101",
    "['101'::bit]": ["101"],
    "'\\x00a'::blob": "\\x00a",
    "['b'::blob]": ["b"],
    "123456789012345678901234567890123456789012345::bignum": "123456789012345678901234567890123456789012345",
    "170141183460469231731687303715884105727::hugeint": "170141183460469231731687303715884105727",
    "[170141183460469231731687303715884105727::hugeint]": ["170141183460469231731687303715884105727"],
    "-99999999999999999999999999999999999999::hugeint": -99999999999999999999999999999999999999,
    "340282366920938463463374607431768211455::uhugeint": "340282366920938463463374607431768211455",
    "12345678901234567890123456789.123456789::decimal(38, 9)": Decimal("12345678901234567890123456789.123456789"),
    "'10:00:00+02'::timetz": "10:00:00+02",
    "time '24:00:00'": "24:00:00",
    "time_ns '10:00:00.123456789'": "10:00:00.123456789",
    "'2020-01-01 10:00:00.123456789'::timestamp_ns": "2020-01-01 10:00:00.123456789",
    "'2020-01-01 10:00:00'::timestamp_s": "2020-01-01 10:00:00",
    "'2020-01-01 10:00:00.123'::timestamp_ms": "2020-01-01 10:00:00.123",
    "'infinity'::timestamp_ns": "infinity",
    "'infinity'::timestamptz": "infinity",
    "['-infinity'::timestamp, null]": ["-infinity", None],
    "{'a': ['infinity'::date]}": {"a": ["infinity"]},
    "map {'a': 'infinity'::timestamp}": {"a": "infinity"},
    "'0044-03-15 (BC)'::date": "0044-03-15 (BC)",
    "'12020-01-01'::date": "12020-01-01",
    "'nan'::double": "NaN",
    "'-inf'::float": "-Infinity",
    "['inf'::double, 1.5, null]": ["Infinity", Decimal("1.5"), None],
    "map {'a': 'nan'::double}": {"a": "NaN"},
    "'b'::enum('a', 'b')": "b",
    "['b'::enum('a', 'b')]": ["b"],
    "row(1, 'a')": "(1, a)",
    "'7d2d6c3a-0000-4000-8000-000000000000'::uuid": "7d2d6c3a-0000-4000-8000-000000000000",
    "'{\"a\": 1}'::json": {"a": 1},
    "[null]": [None],
    "[]::int[]": [],
    "[[1], null, []]": [[1], None, []],
    "null": None,
}


@pytest.mark.parametrize("value", ODD_VALUES)
def test_a_value_of_any_type_is_in_every_format_and_is_not_another(folder: Path, value: str) -> None:
    answer = ask(warehouse_path(folder / "data"), f"select {value} as found", {})
    frame = answer.frame

    looked = ask(warehouse_path(folder / "data"), f"select {value} as found", {}, look=Look("json"))

    for one in (answer, looked):
        assert json.loads(render(one, "json"), parse_float=Decimal) == [{"found": ODD_VALUES[value]}]
    assert (len(render(frame, "csv")) > len('"found"\n""\n')) is (ODD_VALUES[value] is not None)
    assert pl.read_parquet(io.BytesIO(render(frame, "parquet"))).height == 1
    assert frame_table(frame).height == 1


@pytest.mark.parametrize("output", ["csv", "json", "parquet"])
def test_all_types_that_duckdb_has_are_in_every_format(folder: Path, output: str) -> None:
    frame = ask(warehouse_path(folder / "data"), "select * from test_all_types()", {}).frame

    assert len(render(frame, output)) > 1000
    assert (frame_table(frame).height, frame.height) == (3, 3)


# One column of each type, and statements with several.
PLAIN = [
    *sorted(read_sql_files("queries")),
    *sorted(read_sql_files("views")),
    "select sum(n), avg(n), min(n::utinyint), max(n::hugeint) * 10, 1.50::decimal(9, 2) from range(3) as rows(n)",
    "select n as n, n as n, n = 1, n::float, n::varchar, uuid() is null, uuid()::varchar = '' from range(3) as rows(n)",
    "select date '2024-02-29', timestamp '2024-02-29 01:02:03.456', timestamptz '2024-02-29 01:02:03.4567+01', null",
    "select date '0001-01-02', timestamp '9999-12-30 23:59:59.999999', timestamp_s '2024-01-01', null::timestamp",
    "select n as n from range(0) as rows(n)",
]


@pytest.mark.parametrize("asked", PLAIN)
def test_values_without_frames_are_those_that_frames_have(folder: Path, asked: str) -> None:
    asked = asked if " " in asked or asked in read_sql_files("queries") else f"from {asked} order by all"
    everything = Look("json", everything=True)
    plain = ask(warehouse_path(folder / "data"), asked, {}, look=everything)
    framed = ask(warehouse_path(folder / "data"), asked, {}, look=replace(everything, output="csv"))

    assert isinstance(framed.found, pl.DataFrame)
    assert dict(plain.columns) == dict(framed.columns)
    for name, values in plain.columns.items():
        assert [type(value) for value in values] == [type(value) for value in framed.columns[name]]


@pytest.mark.parametrize(
    ("value", "is_plain"),
    [
        *(("1", True), ("1.5", True), ("sum(1)", True), ("'a'", True), ("now()::timestamp", True), ("null", True)),
        *(("interval 1 day", True), ("'infinity'::date", False), ("'12020-01-01'::date", False), ("[1]", False)),
        *(("{'a': 1}", False), ("10::hugeint ** 38", True), ("1" + "0" * 38, False)),
    ],
)
def test_frames_are_made_only_where_plain_values_do_not_do(folder: Path, value: str, is_plain: bool) -> None:
    answer = ask(warehouse_path(folder / "data"), f"select {value} as found", {}, look=Look())

    assert isinstance(answer.found, dict) is is_plain


def test_a_duration_of_a_step_is_text(folder: Path) -> None:
    ended = query(folder, "select completed_at - created_at as took from run_steps", "--format", "json")

    assert (json.loads(ended.stdout), ended.stderr) == ([{"took": "00:00:02"}], "")


def test_columns_with_one_name_are_numbered(folder: Path) -> None:
    ended = query(folder, "select 1 as n, 2 as n, interval 3 day as n, 4 as n_1", "--format", "csv")

    assert ended.stdout.splitlines() == ['"n","n_2","n_3","n_1"', '1,2,"3 days",4']


def test_sql_may_stand_on_several_lines(folder: Path) -> None:
    assert ask(warehouse_path(folder / "data"), "select\n1\n", {}).frame.rows() == [(1,)]


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


@pytest.fixture(scope="module")
def long_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a warehouse of more runs and files than queries show."""
    folder = tmp_path_factory.mktemp("long")
    results = [{"file_id": f"file_{n}", "file_name": "x", "score": 0.5} for n in range(25)]
    details = {"type": "tool_calls", "tool_calls": [{"type": "file_search", "file_search": {"results": results}}]}
    runs = [run_of(f"run_{n}", model="gpt-4o", created_at=1731000000) for n in range(25)]
    steps = [step_of("step_1", run_id="run_1", thread_id="thread_1", step_details=details)]
    (folder / "runs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in [*runs, *steps]))
    run_cli(folder, "import", "runs.jsonl", "--quiet")
    return folder


@pytest.mark.parametrize("output", ["table", "markdown", "json", "csv"])
@pytest.mark.parametrize("name", ["expensive_runs", "file_search_files"])
def test_what_a_query_leaves_out_by_itself_is_said(long_folder: Path, name: str, output: str) -> None:
    ended = query(long_folder, name, "--format", output)
    everything = query(long_folder, name, "--format", output, "--all")
    asked = query(long_folder, name, "--format", output, "--limit", "25")

    told = ended.stdout.splitlines()[-1] if output == "table" else ended.stderr
    has_sums = name == "file_search_files" and output in ("table", "markdown")
    assert told.strip() == f"({'20 of 25 rows' if has_sums else 'the first 20 rows'}; --all prints them all)"
    assert (everything.stdout, everything.stderr) == (asked.stdout, "")


@pytest.mark.parametrize("ending", ["xlsx", "tsv", "parqet"])
def test_a_file_whose_ending_is_of_no_format_is_refused(folder: Path, ending: str) -> None:
    ended = query(folder, "select 1 as a", "--out", f"answer.{ending}")
    query(folder, "select 1 as a", "--out", f"answer.{ending}", "--format", "csv")

    assert (ended.returncode, f"no format ends in .{ending}: .csv, .json, " in ended.stderr) == (2, True)
    assert (folder / f"answer.{ending}").read_text() == '"a"\n1\n'


@pytest.mark.parametrize("comment", ["-- what: a one\n", "--\n", "--\twhat\n"])
def test_sql_may_begin_with_a_comment(folder: Path, comment: str) -> None:
    ended = query(folder, f"{comment}select 1 as a", "--json")

    assert (ended.returncode, ended.stdout) == (0, '[{"a":1}]\n')


WRITING = [
    "delete from runs",
    "truncate runs",
    "drop table runs",
    "update runs set model = 'x'",
    "alter table runs add column x int",
    "comment on table runs is 'x'",
    "create table x as select 1",
    "create temp table x as select 1",
    "create secret s (type s3)",
    "insert into prices select * from prices",
    "merge into runs using runs as r on true when matched then delete",
    "attach 'made.duckdb' as other",
    "copy runs to 'made.csv'",
    "copy runs from 'made.csv'",
    "export database 'made'",
    "import database 'made'",
    "install httpfs",
    "load httpfs",
    "force install httpfs",
    "pragma enable_profiling",
    "pragma disable_progress_bar",
    "call enable_logging(storage = 'file', storage_path = 'made')",
    "set threads = 1",
    "set variable x = 1",
    "reset threads",
    "use memory",
    "begin transaction",
    "checkpoint data",
    "vacuum runs",
    "prepare p as copy runs to 'made.csv'",
    "execute p",
    # What is explained may do more, and with ANALYZE it is run.
    "explain delete from runs",
    "explain analyze delete from runs",
    "explain analyze copy (select 1) to 'made.csv'",
    "EXPLAIN /* a select */ ANALYZE COPY (select 1) TO 'made.csv'",
    "-- select\nexplain analyze copy (select 1) to 'made.csv'",
    "explain (analyze) copy (select 1) to 'made.csv'",
    "explain (analyze, format json) copy (select 1) to 'made.csv'",
    "explain analyze create table x as select 1",
    "explain analyze attach 'made.duckdb' as other",
    "explain analyze export database 'made'",
    "explain analyze select * from enable_logging(storage = 'file', storage_path = 'made')",
    # A SELECT by its kind.
    "select * from enable_logging(storage = 'file', storage_path = 'made')",
    "select (select count(*) from enable_logging(storage = 'file', storage_path = 'made'))",
    "describe select * from enable_logging(storage = 'file', storage_path = 'made')",
    "summarize select * from enable_profiling(save_location = 'made.json')",
    "select * from enable_profiling(format = 'json', save_location = 'made.json')",
    "select * from query('select * from enable_profiling(save_location = ''made.json'')')",
    "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "select * from checkpoint()",
    "select nextval('s')",
    "with made as (copy (select 1) to 'made.csv') select 1",
    "with made as (copy (select 1) to 'made.csv') select * from made",
    "explain analyze with made as (copy (select 1) to 'made.csv') select 1",
    "select * from (with made as (copy (select 1) to 'made.csv') select * from made)",
    "with made as (insert into prices select * from prices returning *) select * from made",
    "with made as (delete from runs returning *) select * from made",
    # What no SELECT can see: the environment, other hosts, the variables of this program.
    "select getenv('HOME')",
    "select * from 'https://127.0.0.1:9/x.csv'",
    "select * from read_csv('s3://bucket/x.csv')",
    "select * from values",
]


@pytest.mark.parametrize("sql", WRITING)
def test_anything_but_reading_is_refused_and_changes_nothing(
    folder: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.chdir(folder)

    with pytest.raises(ConfigurationError, match=r"only reads|DuckDB cannot|one statement"):
        ask(warehouse_path(folder / "data"), sql, {})

    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("sql", [sql for sql in WRITING if "made" in sql])
def test_a_lake_takes_no_more_than_a_warehouse(
    folder: Path, small_lake: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    with pytest.raises(ConfigurationError, match=r"only reads|DuckDB cannot|one statement"):
        ask(str(small_lake), sql, {})

    assert not list(folder.glob("made*"))


READING = [
    "from runs",
    "table runs",
    "values (1)",
    "(select 1)",
    "describe runs",
    "describe select * from runs",
    "show tables",
    "summarize runs",
    "from (summarize runs)",
    "explain select * from runs",
    "explain (format json) select * from runs",
    "explain analyze from runs",
    "explain analyze with one as (select 1) select * from one",
    "/* all */ explain -- of them\n select 1;",
    "select * from runs using sample 1",
    "select * from (pivot runs on model in ('gpt-4o') using count(*))",
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3) select * from n",
    "select * from run_costs as a asof join run_costs as b on a.run_id >= b.run_id",
    "select i, unnest([1, 2]) from range(2) as r(i), lateral (select i + 1)",
    "select * from duckdb_settings()",
    "select * from pragma_table_info('runs')",
    "select * from query('select 1')",
    "select * from query_table('runs')",
    'select \'copy\', "copy" from (select 1 as "copy")',
    "select key, value from json_each('{\"a\": 1}')",
    "select * from 'ids.csv'",
    "select * from read_text('ids.csv')",
    "select * from glob('*.csv')",
]


@pytest.mark.parametrize("sql", READING)
def test_whatever_only_reads_is_answered(folder: Path, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "ids.csv").write_text("thread_id\nthread_1\n")
    monkeypatch.chdir(folder)

    assert ask(warehouse_path(folder / "data"), sql, {}).frame.width > 0


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
    assert "nope has no price: `prices list` shows the models that have one" in ended.stderr


def test_without_a_warehouse_the_next_command_is_told(tmp_path: Path) -> None:
    ended = query(tmp_path, "top_tools")

    assert ended.returncode == 2
    assert "sync --sample" in ended.stderr


def test_without_anything_to_ask_the_way_to_ask_is_told(folder: Path) -> None:
    assert "query --list" in query(folder).stderr


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "select modl from runs",
            'Referenced column "modl" not found in FROM clause!\nCandidate bindings: "model"',
        ),
        ("select 1\nfrom runz", 'Table with name runz does not exist!\nDid you mean "runs"?'),
        ("selec 1", 'syntax error at or near "selec"'),
    ],
)
def test_what_duckdb_says_of_sql_is_told_with_its_mark_under_the_place(folder: Path, sql: str, message: str) -> None:
    ended = query(folder, sql)

    *_, line, mark = ended.stderr.rstrip().splitlines()
    assert message in ended.stderr
    number, _, shown = line.partition(": ")
    assert sql.splitlines()[int(number.removeprefix("LINE ")) - 1] == shown.strip()
    word = line[mark.index("^") : mark.rindex("^") + 1]
    assert word in ("modl", "runz", "selec")


@pytest.mark.parametrize("name", ["runs", "run_costs"])
def test_the_name_of_a_table_or_view_is_answered_with_what_is_in_it(folder: Path, name: str) -> None:
    assert query(folder, name, "--json").stdout == query(folder, f"from {name}", "--json").stdout != "[]\n"


def test_spend_by_a_key_of_the_metadata_is_a_query(folder: Path) -> None:
    found = json.loads(query(folder, "spend_by_customer", "--json").stdout)
    refused = query(folder, "spend_by_customers")

    assert [row["value"] for row in found] == ["northwind"]
    assert (refused.returncode, "Runs have these metadata keys: customer." in refused.stderr) == (2, True)


def test_sql_may_come_from_a_file_or_from_standard_input(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text("select 1\nas n")

    assert query(folder, str(tmp_path / "one.sql"), "--json").stdout == '[{"n":1}]\n'
    assert run_cli(folder, "query", "-", "--json", given="select 2 as n").stdout == '[{"n":2}]\n'
    missing = query(folder, "nowhere.sql")
    assert (missing.returncode, missing.stderr) == (
        2,
        "error: cannot read SQL from nowhere.sql: No such file or directory\n",
    )


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "md", "parquet", "txt"])
def test_an_answer_goes_to_a_file_in_the_format_of_its_ending(folder: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"

    ended = query(folder, "select 1 as n", "--out", str(out))

    starts = {"csv": b'"n"', "json": b"[{", "jsonl": b"{", "md": b"| n", "parquet": b"PAR1", "txt": b"n\n1\n"}
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert out.read_bytes().startswith(starts[ending])
    assert query(folder, "select 1 as n", "--out", str(tmp_path / "no" / "where")).returncode == 2


def test_what_explain_says_is_text(folder: Path) -> None:
    ended = query(folder, "explain select 1")

    assert len(ended.stdout.splitlines()) > 3
    assert "explain_key" not in ended.stdout


def test_no_rows_are_said(folder: Path) -> None:
    assert query(folder, "from runs where false").stdout.splitlines()[-1] == "(0 rows)"


@pytest.mark.parametrize(
    ("days", "runs"),
    [
        (("--since", "2024-11-07"), 1),
        (("--since", "2024-11-08"), 0),
        (("--until", "2024-11-06"), 0),
        (("--since", "2024-11", "--until", "2024-11"), 1),
        (("--since", "2024", "--until", "2024-W44"), 0),
        (("--since", "30d"), 0),
        (("--since", "9000w"), 1),
    ],
)
@pytest.mark.parametrize("name", ["spend_by_model", "completeness_summary", "select count(*) as runs from runs"])
def test_a_period_is_of_every_query(folder: Path, days: tuple[str, ...], runs: int, name: str) -> None:
    found = json.loads(query(folder, name, *days, "--json").stdout)

    assert sum(row["runs"] for row in found) == runs


@pytest.mark.parametrize("name", sorted(read_sql_files("queries")))
def test_of_all_days_a_query_says_what_it_says_without_a_period(folder: Path, name: str) -> None:
    place = warehouse_path(folder / "data")
    everything = parse_days("1970", "9998", today=date(2026, 1, 1))

    assert ask(place, name, {}, period=everything).frame.equals(ask(place, name, {}).frame)


@pytest.mark.parametrize(
    ("days", "says"),
    [
        (("--since", "soon"), "--since 'soon' is no period"),
        (("--since", "2026-05", "--until", "2026-04"), "--until '2026-04' is before --since '2026-05'"),
        (("--since", "9999999d"), "before all time"),
    ],
)
def test_days_that_are_none_are_refused(folder: Path, days: tuple[str, ...], says: str) -> None:
    ended = query(folder, "overview", *days)

    assert (ended.returncode, says in ended.stderr) == (2, True)
