"""Rows as tables: on a terminal of any width no value, name or header is folded, and nothing is left out in silence."""

import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.console.fitting import shorten, text_width
from pipeline.console.json_rows import json_rows
from pipeline.console.tables import Table, format_column, frame_table, join_counts
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.verbs.query.command import ask
from pipeline.verbs.query.output import Answer, Look, answer_lines, render
from tests.warehouses import make_sample

WIDTHS = (80, 100, 140)


def column_of(values: list[object], dtype: pl.DataType, *, name: str = "cost_usd") -> list[str]:
    """The cells that a column of these values has, as printed, without the header."""
    stream = io.StringIO()
    Console(file=stream, width=60).print(frame_table(pl.DataFrame({name: values}, schema={name: dtype})))
    return [line.rstrip() for line in stream.getvalue().splitlines()[1:]]


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        (["17.312", "0.3615", "1234.5"], ["   17.3120", "    0.3615", "1,234.5000"]),
        (["3", "2.5"], ["    3.00", "    2.50"]),
        (["0", "-0.000041666"], [" 0.000000000", "-0.000041666"]),
    ],
)
def test_a_column_of_money_has_one_number_of_digits_and_loses_none(values: list[str], cells: list[str]) -> None:
    assert column_of([Decimal(value) for value in values], pl.Decimal(38, 12)) == cells


def test_unknown_money_stays_empty_among_money() -> None:
    assert column_of([Decimal("1.5"), None], pl.Decimal(38, 12)) == ["    1.50", ""]


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([1.0, 0.0954, 0.0], ["1.0000", "0.0954", "0.0000"]),
        ([1234.5678, 0.25], ["1,234.57", "0.25"]),
        ([14.0, 7.0], ["14.00", "7.00"]),
        ([12.5, 0.00001], ["12.50", "1e-05"]),
        ([1.0, float("inf"), float("nan")], ["1.00", "inf", "nan"]),
    ],
)
def test_a_column_of_other_numbers_lines_up_and_shows_no_small_one_as_zero(
    values: list[float], cells: list[str]
) -> None:
    assert [cell.strip() for cell in column_of(list(values), pl.Float64(), name="share")] == cells


def test_one_thing_is_counted_in_the_singular() -> None:
    assert join_counts([("files", 1), ("runs", 0), ("steps", 2_310)]) == "1 file, 0 runs, 2,310 steps"


@pytest.mark.parametrize(
    ("name", "values", "cells"),
    [
        ("tokens", [2026, 1234567], ["2,026", "1,234,567"]),
        ("steps", [2026], ["2,026"]),
        ("year", [2026, 26], ["2026", "26"]),
        ("year(created_at)", [2026], ["2026"]),
        ("date_part('year', created_at)", [12026], ["12026"]),
        ("y", [2025, 2026], ["2025", "2026"]),
        ("day", [20260501], ["20260501"]),
        ("call_index", [1234], ["1234"]),
        ("id", [123456], ["123456"]),
        ("created_at", [1731000000], ["1731000000"]),
        ("count_star()", [2140], ["2,140"]),
        ("n", [None, -5], ["", "-5"]),
    ],
)
def test_whole_numbers_have_separators_where_they_count(name: str, values: list[Any], cells: list[str]) -> None:
    assert format_column(name, values) == cells


def test_a_value_is_one_line_whatever_it_is() -> None:
    values = ["a\n b\tc", {"a": [1, "x"]}, True, datetime(2026, 5, 1, 12, tzinfo=UTC), date(2026, 5, 1), None]

    assert [format_column("x", [value]) for value in values] == [
        ["a b c"], ['{"a": [1, "x"]}'], ["yes"], ["2026-05-01 12:00:00"], ["2026-05-01"], [""],
    ]  # fmt: skip


def test_what_has_no_room_is_left_out_from_the_right_and_named() -> None:
    table = Table({"thread_id": ["thread_" + "a" * 24], "n": [1], "text": ["word " * 30], "cost_usd": [Decimal(1)]})

    assert list(table.lines(40)) == [
        "thread_id                        n",
        f"thread_{'a' * 24}  1",
        "(no room for text, cost_usd)",
    ]
    assert list(table.lines(60))[:2] == [
        "thread_id              n  text                      cost_usd",
        "thread_aaa…aaaaaaaaaa  1  word word word word wor…      1.00",
    ]
    assert list(table.lines(None))[1] == f"thread_{'a' * 24}  1  {'word ' * 15}word…      1.00"
    assert list(table.lines(None, is_whole=True))[1].endswith("word word word      1.00")


def test_no_rows_are_said() -> None:
    assert list(Table({"n": []}).lines(80)) == ["n", "(0 rows)"]
    assert list(Table({"n": []}).vertical_lines()) == ["(0 rows)"]


def test_a_last_row_of_sums_has_the_digits_of_its_column() -> None:
    table = Table(
        {"model": ["a", "b"], "cost_usd": [Decimal("1.125"), None]},
        totals={"model": "total", "cost_usd": Decimal("1.125")},
    )

    assert list(table.lines(80)) == ["model  cost_usd", "a         1.125", "b", "total     1.125"]
    assert list(table.vertical_lines())[-3:] == ["total", "  model     total", "  cost_usd  1.125"]


def test_markdown_has_what_would_end_its_cells_marked() -> None:
    assert list(Table({"text": ["a|b\nc"], "n": [1]}).markdown_lines()) == [
        "| text | n |",
        "|---|---:|",
        "| a\\|b c | 1 |",
    ]


@given(st.text(max_size=30), st.integers(1, 30), st.booleans())
def test_a_shortened_text_is_never_wider_than_it_may_be(text: str, width: int, is_id: bool) -> None:
    assert text_width(shorten(text, width, is_id=is_id)) <= max(width, 1)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with its ids and names of usual length."""
    return make_sample(tmp_path_factory.mktemp("tables"))


def shown_columns(names: Sequence[str], lines: Sequence[str]) -> int:
    """How many columns from the left a table has."""
    left_out = re.search(r"\(no room for ([^;]*); --wide", " ".join(lines))
    return len(names) - (len(left_out[1].split(", ")) if left_out else 0)


@pytest.mark.parametrize("name", sorted(read_sql_files("queries")))
def test_no_table_of_a_named_query_has_a_folded_cell(sample: Path, name: str) -> None:
    look = Look()
    answer = ask(sample, name, {}, look=look)
    whole = list(answer_lines(answer, look, None))
    names = re.split(r"\s{2,}", whole[0].strip())
    for width in WIDTHS:
        lines = list(answer_lines(answer, look, width))
        count = shown_columns(names, lines)

        # Numbers and instants are whole, each row is one line, and no line is wider than the terminal.
        printed = list(takewhile(lambda line: not line.startswith("("), lines))
        shown = answer.frame if answer.shown is None else answer.frame.head(answer.shown)
        rows = printed[-shown.height - bool(answer.totalled) :]
        assert [line for line in lines if text_width(line) > width] == []
        assert count > 0
        for column in shown.iter_columns():
            if column.name in names[:count] and (column.dtype.is_numeric() or column.dtype.is_temporal()):
                texts = format_column(column.name, column.to_list())
                assert [text for text in texts if text and not any(text in row for row in rows)] == []


@pytest.mark.parametrize("name", sorted(read_sql_files("queries")))
def test_the_json_of_a_named_query_has_every_value_exactly(sample: Path, name: str) -> None:
    answer = ask(sample, name, {})

    found = json.loads(render(answer, "json"), parse_float=Decimal)

    rows = answer.frame.to_dicts()
    assert [[_known(value) for value in row.values()] for row in found] == [
        [_known(value) for value in row.values()] for row in rows
    ]
    assert [json.loads(line, parse_float=Decimal) for line in render(answer, "jsonl").splitlines()] == found


def _known(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, date) else value


def test_numbers_are_numbers_in_json_and_what_is_none_is_text() -> None:
    columns: dict[str, list[Any]] = {"a": [Decimal("0.10"), 2**70, float("nan")], "b": ['{"x": 1}', "not json", None]}

    assert list(json_rows(columns, documents=["b"])) == [
        b'{"a":0.1,"b":{"x": 1}}', b'{"a":1180591620717411303424,"b":"not json"}', b'{"a":"NaN","b":null}'
    ]  # fmt: skip


def test_sums_are_of_all_rows_and_shares_of_their_whole() -> None:
    frame = pl.DataFrame(
        {"model": ["a", "b", "c"], "cost_usd": [Decimal("3.00"), Decimal("1.00"), None], "runs": [1, 2, 3]}
    )
    answer = Answer(frame, shown=1, totalled=["cost_usd", "runs"], shared=["cost_usd"])

    assert list(answer_lines(answer, Look(), 80)) == [
        "model  cost_usd   share  runs",
        "a          3.00   75.0%     1",
        "total      4.00  100.0%     6",
        "(1 of 3 rows; --all prints them all)",
    ]
