"""Others read the lake, and our own SQL over it says what it says over the warehouse."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import datafusion
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from pipeline.errors import ConfigurationError
from pipeline.lake.reading import open_lake
from pipeline.lake.store import Lake
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import read_frame
from pipeline.sqlfiles.held_views import holding_views
from pipeline.verbs.lake import PublishRequest, publish_to_lake
from pipeline.verbs.query.command import ask
from pipeline.verbs.query.output import render
from pipeline.warehouse.database import warehouse_path
from tests.attached import looking_into
from tests.lakes import assert_same, read_lake
from tests.publish_parts import publish
from tests.syncs import environ_for, run_cli

TOTALS = "select count(*) as steps, sum(total_tokens) as tokens, max(created_at) as last_at from run_steps"
EXTRAS = "deltalake,obstore,fsspec,pyarrow"
# A finder that knows nothing of what the extra brings.
WITHOUT_EXTRAS = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(name)

BLOCKED = sys.argv.pop(1).split(",")
sys.meta_path.insert(0, Missing())
from pipeline.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def lake(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts in several batches."""
    folder = tmp_path_factory.mktemp("batches")
    publish(data_dir, folder / "lake", batch_bytes=6_000)
    return folder / "lake"


def test_polars_duckdb_and_datafusion_read_the_same_totals(data_dir: Path, lake: Path) -> None:
    with looking_into(warehouse_path(data_dir)) as connection:
        expected = read_frame(connection, TOTALS)
    with open_lake(str(lake)) as (connection, _):
        ours = read_frame(connection, TOTALS)
    polars = pl.scan_delta(str(lake / "run_steps")).select(
        pl.len().cast(pl.Int64).alias("steps"), tokens=pl.col("total_tokens").sum(), last_at=pl.col("created_at").max()
    )
    context = datafusion.SessionContext()
    context.register_table("run_steps", DeltaTable(str(lake / "run_steps")))
    fusion = pl.DataFrame(context.sql(TOTALS))

    assert expected["tokens"].item() > 0
    assert ours.equals(expected)
    assert polars.collect().rows() == [tuple(map(int, expected.row(0)[:2])) + expected.row(0)[2:]]
    assert [str(value) for value in fusion.row(0)] == [str(value) for value in expected.row(0)]


def test_every_view_says_over_the_lake_what_it_says_over_the_warehouse(data_dir: Path, lake: Path) -> None:
    # Nothing is stored in a lake: what is not is another there, and all else the same.
    views = [view for name, view in read_sql_files("views").items() if not name.startswith("unstored_")]
    names = [view.name for view in views]
    with looking_into(warehouse_path(data_dir)) as connection, holding_views(connection, views):
        expected = {name: read_frame(connection, f"select columns(*) from {name} order by all") for name in names}

    with open_lake(str(lake)) as (connection, warnings), holding_views(connection, views):
        said = {name: read_frame(connection, f"select columns(*) from {name} order by all") for name in names}

    assert [name for name in names if not said[name].equals(expected[name])] == []
    assert warnings == []


def text_types(lake: Path) -> set[str]:
    """The Arrow types of texts in all files of a lake."""
    tables = Lake(str(lake)).open().tables.values()
    fields = [field for table in tables for uri in table.file_uris() for field in pq.read_schema(uri)]
    return {str(field.type) for field in fields if "string" in str(field.type)}


def test_files_hold_texts_that_every_reader_knows(lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)
    Lake(str(copy)).optimize()

    assert [text_types(lake), text_types(copy)] == [{"large_string"}, {"string", "large_string"}]


def test_optimizing_writes_files_of_before_anew_once(lake: Path, tmp_path: Path) -> None:
    for name, table in Lake(str(lake)).open().tables.items():
        # As programs of before did.
        rows, partitions = pl.scan_delta(table).collect(), table.metadata().partition_columns
        write_deltalake(str(tmp_path / name), rows, partition_by=partitions)
    before, old = text_types(tmp_path), Lake(str(tmp_path))

    old.optimize()
    versions = [table.version() for table in old.open().tables.values()]
    old.optimize()

    assert (before, text_types(tmp_path)) == ({"string_view"}, {"string"})
    assert [table.version() for table in old.open().tables.values()] == versions
    assert_same(read_lake(tmp_path), read_lake(lake))


def test_query_reads_a_lake_instead_of_the_warehouse(data_dir: Path, lake: Path) -> None:
    asked = run_cli(lake.parent, "query", "spend_by_model", "--lake", "lake", "--format", "json")

    expected = render(ask(warehouse_path(data_dir), "spend_by_model", {}).frame, "json").decode()
    assert (asked.returncode, asked.stdout) == (0, expected)
    assert len(expected) > 100
    assert ask(str(lake), "select count(*) as calls from tool_calls", {}).frame.item() > 0


def test_wrong_places_are_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no lake at {tmp_path}/nowhere .* `.* publish delta "):
        ask(str(tmp_path / "nowhere"), "select 1 as one", {})
    with pytest.raises(ConfigurationError, match="ftp://host/x is neither a folder nor a bucket: s3://, gs:// or"):
        ask("ftp://host/x", "select 1 as one", {})
    with pytest.raises(ConfigurationError, match=f"there are no raw parts in {tmp_path}/data/raw: nothing to publish"):
        publish_to_lake(tmp_path / "data", PublishRequest(str(tmp_path / "lake")), as_json=False)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "/lake"])
def test_a_lake_where_a_file_is_says_that_it_is_one(data_dir: Path, tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("no lake")
    refusal = f"the lake {file}{below} cannot be there, {file} is a file: name a folder"

    for work in (lambda: ask(f"{file}{below}", "select 1", {}).frame, lambda: publish(data_dir, f"{file}{below}")):
        with pytest.raises(ConfigurationError) as refused:
            work()
        assert str(refused.value) == refusal


def test_a_lake_that_cannot_be_made_says_where_and_why_in_words(data_dir: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        publish(data_dir, "/proc/nowhere")

    assert str(refused.value) == (
        "the lake /proc/nowhere cannot be used: Could not create local directory: /proc/nowhere/billed_usage:"
        " No such file or directory: name a folder that can be made and written"
    )


def test_without_the_extra_a_lake_says_which_one_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_EXTRAS, EXTRAS, "publish", "delta", "lake"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ_for(), capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert re.fullmatch(r"error: a lake needs the library deltalake: .*install .*\[lake\]'\n", ended.stderr)


def test_without_the_extra_everything_else_works(data_dir: Path) -> None:
    arguments = ("query", "select 1 as one", "--format", "csv", "--data-dir", ".")
    command = [sys.executable, "-c", WITHOUT_EXTRAS, EXTRAS, *arguments]
    ended = subprocess.run(command, cwd=data_dir, env=environ_for(), capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, '"one"\n1\n')


def test_a_lake_needs_no_pyarrow(lake: Path) -> None:
    arguments = ("query", "--lake", str(lake), "select count(*) as runs from run_costs", "--format", "csv")
    command = [sys.executable, "-c", WITHOUT_EXTRAS, "pyarrow,fsspec,obstore", *arguments]
    ended = subprocess.run(command, cwd=lake, env=environ_for(), capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, '"runs"\n7\n')


def test_publish_says_what_it_did(data_dir: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "lake")
    done = run_cli(data_dir, "publish", "delta", place, "--data-dir", ".", "--optimize", "--vacuum", "7")

    assert (done.returncode, done.stderr) == (0, "published 24 raw parts\n")
    assert done.stdout.splitlines()[0] == f"24 raw parts: {place}"
    assert done.stdout.splitlines()[1].startswith("optimized: ")
    assert done.stdout.splitlines()[2] == "vacuumed: 0 files removed"


@pytest.mark.parametrize("name", ["a lake", "s\u00e9e", "100%", "a#b"])
def test_a_lake_whose_path_readers_would_spell_otherwise_is_refused_before_anything_is_written(
    name: str, tmp_path: Path
) -> None:
    place = tmp_path / name

    with pytest.raises(ConfigurationError, match="do not find the files"):
        Lake(str(place))

    assert not place.exists()


@pytest.mark.parametrize("place", ["s3://bucket/a lake", "az://container/s\u00e9e"])
def test_such_a_path_in_a_bucket_is_refused_before_the_bucket_is_asked(place: str) -> None:
    with pytest.raises(ConfigurationError, match="do not find the files"):
        Lake(place)
