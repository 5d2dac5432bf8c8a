"""Frames as tables that a person likes to read."""

import io
from decimal import Decimal

import polars as pl
import pytest
from rich.console import Console

from pipeline.console.tables import frame_table, join_counts


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
