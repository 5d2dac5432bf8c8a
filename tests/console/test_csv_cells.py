"""Texts that a spreadsheet would run as formulas leave `query --format csv` as texts."""

import csv
import io
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.console.csv_cells import guard_formulas
from pipeline.verbs.query.output import render
from tests.syncs import run_cli
from tests.warehouses import make_one_run


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "－"])
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe(start: str) -> None:
    frame = pl.DataFrame({"text": [f"{start}cmd|' /C calc'!A0", f"a{start}b", None, ""]})

    assert guard_formulas(frame)["text"].to_list() == [f"'{start}cmd|' /C calc'!A0", f"a{start}b", None, ""]


def test_numbers_and_instants_stay_as_they_are() -> None:
    frame = pl.DataFrame({"whole": [-1], "cost_usd": [Decimal("-0.50")], "share": [-0.5]})

    assert guard_formulas(frame).equals(frame)


def test_texts_of_other_types_and_names_of_columns_are_guarded_too() -> None:
    frame = pl.DataFrame({"=name": ["=1"], "kind": ["=1"]}, schema={"=name": pl.Categorical(), "kind": pl.Enum(["=1"])})

    guarded = guard_formulas(frame)

    assert guarded.to_dicts() == [{"'=name": "'=1", "kind": "'=1"}]


def test_lists_and_structures_are_json_and_need_no_guard() -> None:
    frame = pl.DataFrame({"list": [["=1"]], "object": [{"a": "=1"}]})

    assert render(frame, "csv") == b'"list","object"\n"[""=1""]","{""a"":""=1""}"\n'


def test_only_csv_is_guarded_and_it_can_be_had_raw() -> None:
    frame = pl.DataFrame({"text": ["=1"]})

    assert render(frame, "csv") == b'"text"\n"\'=1"\n'
    assert render(frame, "csv", raw_csv=True) == b"text\n=1\n"
    assert render(frame, "json") == b'[{"text":"=1"}]\n'


@pytest.mark.parametrize("separator", [";", "\t", "\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_NONE])
def test_no_cell_begins_a_formula_whatever_the_cells_are_told_apart_by(separator: str, quoting: Any) -> None:
    text = f'a{separator}=1+1{separator} "-2'
    written = render(pl.DataFrame({"n": [1], "text": [text], text: [text]}), "csv").decode()

    rows = list(csv.reader(io.StringIO(written), delimiter=";" if separator == "\n" else separator, quoting=quoting))

    assert [cell for row in rows for cell in row if cell.strip(' "')[:1] in ("=", "-")] == []


def test_texts_are_quoted_and_numbers_are_not() -> None:
    frame = pl.DataFrame({"n": [1, None], "text": ["a;=1+1", None]})

    assert render(frame, "csv") == b'"n","text"\n1,"a;\'=1+1"\n,\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv")
    (folder / "data").mkdir()
    make_one_run(folder / "data" / "warehouse.duckdb")
    return folder


def query(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_cli(folder, "query", "select '=1+1' as a, -5 as b, '-5' as c", "--format", "csv", *arguments)


def test_the_command_line_guards_unless_asked_for_raw_texts(folder: Path) -> None:
    assert query(folder).stdout == """"a","b","c"\n"'=1+1",-5,"'-5"\n"""
    assert query(folder, "--csv-raw").stdout == "a,b,c\n=1+1,-5,-5\n"
