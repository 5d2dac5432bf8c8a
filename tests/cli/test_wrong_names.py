"""Names on the command line that lead to nothing, or to something else than they should."""

from pathlib import Path

import pytest

from tests.syncs import run_cli
from tests.warehouses import make_one_run

LONG = "a" * 5_000


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", LONG),
        ("import", "runs.jsonl", "--data-dir", LONG),
        ("query", "top_tools", "--out", LONG),
        ("report", "--out", LONG),
        ("status", "--data-dir", LONG),
        ("load", "--rebuild", LONG),
    ],
)
def test_a_name_that_no_file_can_have_is_said_and_cut(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    make_one_run(tmp_path / "data" / "warehouse.duckdb")
    (tmp_path / "runs.jsonl").touch()

    ended = run_cli(tmp_path, *arguments)

    assert ended.returncode == 2, ended.stderr
    assert ("File name too long" in ended.stderr, len(ended.stderr) < 200) == (True, True), ended.stderr


@pytest.mark.parametrize("verb", ["status", "sync --sample", "import x.sql", "query runs", "report", "check", "load"])
def test_a_file_in_the_place_of_the_data_folder_is_named(tmp_path: Path, verb: str) -> None:
    (tmp_path / "x.sql").touch()

    ended = run_cli(tmp_path, *verb.split(), "--data-dir", "x.sql")

    assert (ended.returncode, "x.sql (--data-dir) is a file" in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize(
    "asked, given, says",
    [
        ("", "", "say what to query"),
        ("-", " ", "there is no SQL in standard input"),
        ("empty.sql", "", "there is no SQL in empty.sql"),
    ],
)
def test_a_question_without_words_is_called_empty(tmp_path: Path, asked: str, given: str, says: str) -> None:
    make_one_run(tmp_path / "data" / "warehouse.duckdb")
    (tmp_path / "empty.sql").touch()

    ended = run_cli(tmp_path, "query", asked, given=given)

    assert (ended.returncode, says in ended.stderr) == (2, True), ended.stderr


def test_a_path_that_is_not_there_is_not_taken_for_a_folder_without_archives(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    said = [run_cli(tmp_path, "import", path).stderr for path in ("nothere", "empty")]

    assert ["no such file" in text for text in said] == [True, False]


def test_nobody_is_sent_to_rebuild_a_warehouse_from_raw_parts_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "warehouse.duckdb").write_text("no database")

    ended = run_cli(tmp_path, "query", "runs")

    assert (ended.returncode, "--rebuild" in ended.stderr, "restore a copy" in ended.stderr) == (2, False, True)
