"""Rows that a person writes as CSV, read strictly: each mistake is named with file, line and column."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import ConfigurationError

# A row without a day holds for as long as there have been models.
ALWAYS = date(2020, 1, 1)
SKUS = ("global", "datazone", "regional", "provisioned")
# Beyond any price or discount; keeps every product within DECIMAL(38).
_HIGHEST = Decimal(1_000_000)
_DIGITS = 6
_MOST_TOKEN_DIGITS = 15

Row = dict[str, Any]


def read_rows(path: Path, *, columns: Sequence[str] | None = None) -> list[tuple[int, Row]]:
    """Line numbers and rows, texts stripped and empty ones left out; lines that begin with # are passed over."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {error}") from error
    reader = csv.DictReader(line if not line.startswith("#") else "\n" for line in text.splitlines(keepends=True))
    unknown = sorted(set(reader.fieldnames or ()) - set(columns or reader.fieldnames or ()))
    if unknown:
        raise ConfigurationError(f"{path}: there is no column {unknown[0]!r}; there are: {', '.join(columns or ())}")
    rows = []
    for row in reader:
        if None in row:
            raise ConfigurationError(f"{path}:{reader.line_num}: more fields than the header has columns")
        rows.append((reader.line_num, {name: value.strip() for name, value in row.items() if value and value.strip()}))
    return rows


def frame_of(rows: Sequence[Row], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The rows as a frame of these columns."""
    return pl.DataFrame({name: [row[name] for row in rows] for name in schema}, schema=schema)


def row_id(kind: str, name: str, valid_from: date | None, only_source: str | None, *step: str) -> str:
    """The id of a row that was given none."""
    return ":".join(str(part) for part in (kind, name, valid_from or "always", only_source, *step) if part)


def read_sku(row: Row, where: str) -> str | None:
    """Which deployment a row is for; None: the row does not say."""
    if (sku := row.get("sku")) is not None and sku not in SKUS:
        raise ConfigurationError(f"{where}: sku {sku!r} is not one of {', '.join(SKUS)}")
    return sku


def read_text(row: Row, column: str, where: str) -> str:
    """A name or a pattern."""
    value: str = needed(row.get(column), column, where)
    if "[" in value:
        raise ConfigurationError(f"{where}: {column} {value!r} has a bracket: patterns know * and ? only")
    return value


def needed(value: Any, column: str, where: str) -> Any:
    """The value, which there must be."""
    if value is None:
        raise ConfigurationError(f"{where}: {column} is missing")
    return value


def read_day(row: Row, column: str, where: str) -> date | None:
    """A UTC day."""
    if (text := row.get(column)) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{where}: {column} {text!r} is not a day like 2024-10-02") from None


def read_tokens(row: Row, column: str, where: str) -> int | None:
    """A count of tokens."""
    if (text := row.get(column)) is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_TOKEN_DIGITS):
        raise ConfigurationError(f"{where}: {column} {text!r} is not a count of tokens like 272001")
    return int(text)


def read_money(row: Row, column: str, where: str, *, highest: Decimal = _HIGHEST) -> Decimal | None:
    """An amount from 0 to `highest`, of no more decimals than are kept."""
    if (text := row.get(column)) is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ConfigurationError(f"{where}: {column} {text!r} is not a number like 2.50") from None
    if not value.is_finite() or not 0 <= value <= highest:
        raise ConfigurationError(f"{where}: {column} {text!r} is not between 0 and {highest:,}")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _DIGITS:
        raise ConfigurationError(f"{where}: {column} {text!r} has more than {_DIGITS} decimals")
    return value


def check_ids(ids: Sequence[str], path: Path) -> None:
    """Raise ConfigurationError where two rows of the user are the same."""
    for found in (name for name, count in Counter(ids).items() if count > 1):
        raise ConfigurationError(f"{path}: two rows are {found!r}: give them different days or an id each")
