"""The price book: the list that ships with the package and the rows and discounts of the user's own file."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.catalog import resource_path

OWN_PRICES_FILE = "own-prices.csv"
PRICES_SCHEMA: dict[str, pl.DataType] = {
    "price_id": pl.String(),
    "provider": pl.String(),
    "model": pl.String(),
    "match": pl.String(),
    "stands_for": pl.String(),
    "tier": pl.String(),
    "sku": pl.String(),
    "min_input_tokens": pl.Int64(),
    "max_input_tokens": pl.Int64(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
    "input_usd_per_mtok": pl.Decimal(18, 6),
    "cached_input_usd_per_mtok": pl.Decimal(18, 6),
    "cache_write_usd_per_mtok": pl.Decimal(18, 6),
    "output_usd_per_mtok": pl.Decimal(18, 6),
    "source": pl.String(),
    "read_on": pl.Date(),
    "discount": pl.Decimal(9, 6),
    "only_source": pl.String(),
    "origin": pl.String(),
}
DISCOUNTS_SCHEMA: dict[str, pl.DataType] = {
    "discount_id": pl.String(),
    "model": pl.String(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
    "discount": pl.Decimal(9, 6),
    "only_source": pl.String(),
    "source": pl.String(),
}
# The tier of rows and runs that name none.
STANDARD = "standard"
_MATCHES = ("exact", "alias", "pattern")
SKUS = ("global", "datazone", "regional", "provisioned")
_OWN_COLUMNS = frozenset(PRICES_SCHEMA) - {"origin"}
# A row without a day holds for as long as there have been models.
_ALWAYS = date(2020, 1, 1)
# Beyond any price or discount; keeps every product within DECIMAL(38).
_HIGHEST = Decimal(1_000_000)
_MOST_DISCOUNT = Decimal(100)
_DIGITS = 6
_MOST_TOKEN_DIGITS = 15

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Prices (grain: price_id) and discounts (grain: discount_id), as their tables in `sql/tables/` have them."""

    prices: pl.DataFrame
    discounts: pl.DataFrame


def own_prices_path(data_dir: Path) -> Path:
    """The user's own price file of a data folder; there may be none."""
    return data_dir / OWN_PRICES_FILE


def read_price_book(own: Path | None = None) -> PriceBook:
    """The shipped list with the user's own rows. Raises ConfigurationError naming file, line and column."""
    shipped_path = resource_path("data", "prices.csv")
    shipped = [_price_of(row, f"{shipped_path.name}:{line}", origin="shipped") for line, row in _read_csv(shipped_path)]
    prices, discounts = list(shipped), list[Row]()
    if own is not None and own.exists():
        for line, row in _read_csv(own, columns=_OWN_COLUMNS):
            where = f"{own}:{line}"
            if row.get("input_usd_per_mtok") or row.get("output_usd_per_mtok"):
                prices.append(_price_of(row, where, origin="own"))
            else:
                discounts.append(_discount_of(row, where))
        _check_ids([row["price_id"] for row in prices] + [row["discount_id"] for row in discounts], own)
    return PriceBook(
        pl.DataFrame(_columns(prices, PRICES_SCHEMA), schema=PRICES_SCHEMA),
        pl.DataFrame(_columns(discounts, DISCOUNTS_SCHEMA), schema=DISCOUNTS_SCHEMA),
    )


def _columns(rows: Sequence[Row], schema: Mapping[str, pl.DataType]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in schema}


def _read_csv(path: Path, *, columns: frozenset[str] | None = None) -> list[tuple[int, Row]]:
    """Line numbers and rows, texts stripped and empty ones left out; lines that begin with # are passed over."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {error}") from error
    reader = csv.DictReader(line if not line.startswith("#") else "\n" for line in text.splitlines(keepends=True))
    unknown = sorted(set(reader.fieldnames or ()) - (columns or frozenset(reader.fieldnames or ())))
    if unknown:
        known = ", ".join(name for name in PRICES_SCHEMA if name in (columns or ()))
        raise ConfigurationError(f"{path}: there is no price column {unknown[0]!r}; there are: {known}")
    rows = []
    for row in reader:
        if None in row:
            raise ConfigurationError(f"{path}:{reader.line_num}: more fields than the header has columns")
        rows.append((reader.line_num, {name: value.strip() for name, value in row.items() if value and value.strip()}))
    return rows


def _price_of(row: Row, where: str, *, origin: str) -> Row:
    model, valid_from, only_source = _text(row, "model", where), _day(row, "valid_from", where), row.get("only_source")
    match = row.get("match") or ("pattern" if _is_pattern(model) else "exact")
    discount = _money(row, "discount", where, highest=_MOST_DISCOUNT)
    tier, sku, least = row.get("tier", STANDARD).lower(), _sku(row, where), _tokens(row, "min_input_tokens", where) or 0
    if match not in _MATCHES:
        raise ConfigurationError(f"{where}: match {match!r} is not one of {', '.join(_MATCHES)}")
    return {
        "price_id": row.get("price_id") or _id(origin, model, valid_from, only_source, *_step_of(tier, sku, least)),
        "provider": row.get("provider"),
        "model": model,
        "match": match,
        "stands_for": row.get("stands_for"),
        "tier": tier,
        "sku": sku,
        "min_input_tokens": least,
        "max_input_tokens": _tokens(row, "max_input_tokens", where),
        "valid_from": valid_from or _ALWAYS,
        "valid_to": _day(row, "valid_to", where),
        "input_usd_per_mtok": _needed(_money(row, "input_usd_per_mtok", where), "input_usd_per_mtok", where),
        "cached_input_usd_per_mtok": _money(row, "cached_input_usd_per_mtok", where),
        "cache_write_usd_per_mtok": _money(row, "cache_write_usd_per_mtok", where),
        "output_usd_per_mtok": _needed(_money(row, "output_usd_per_mtok", where), "output_usd_per_mtok", where),
        "source": row.get("source") or where,
        "read_on": _day(row, "read_on", where),
        "discount": Decimal(1) if discount is None else discount,
        "only_source": only_source,
        "origin": origin,
    }


def _discount_of(row: Row, where: str) -> Row:
    model, valid_from, only_source = _text(row, "model", where), _day(row, "valid_from", where), row.get("only_source")
    discount = _money(row, "discount", where, highest=_MOST_DISCOUNT)
    if discount is None:
        raise ConfigurationError(
            f"{where}: a row needs prices (input_usd_per_mtok and output_usd_per_mtok) or a discount"
            " (0.9 means that 90 cents are paid for each dollar of the list price)"
        )
    return {
        "discount_id": row.get("price_id") or _id("discount", model, valid_from, only_source),
        "model": model,
        "valid_from": valid_from or _ALWAYS,
        "valid_to": _day(row, "valid_to", where),
        "discount": discount,
        "only_source": only_source,
        "source": row.get("source") or where,
    }


def _id(kind: str, model: str, valid_from: date | None, only_source: str | None, *step: str) -> str:
    return ":".join(str(part) for part in (kind, model, valid_from or "always", only_source, *step) if part)


def _step_of(tier: str, sku: str | None, least: int) -> tuple[str, ...]:
    """What tells rows of one model and day apart: nothing for the usual one."""
    return (sku or "", "" if tier == STANDARD else tier, f"from {least} input tokens" if least else "")


def _is_pattern(model: str) -> bool:
    return "*" in model or "?" in model


def _text(row: Row, column: str, where: str) -> str:
    value: str = _needed(row.get(column), column, where)
    if "[" in value:
        raise ConfigurationError(f"{where}: {column} {value!r} has a bracket: patterns know * and ? only")
    return value


def _needed(value: Any, column: str, where: str) -> Any:
    if value is None:
        raise ConfigurationError(f"{where}: {column} is missing")
    return value


def _day(row: Row, column: str, where: str) -> date | None:
    if (text := row.get(column)) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{where}: {column} {text!r} is not a day like 2024-10-02") from None


def _sku(row: Row, where: str) -> str | None:
    if (sku := row.get("sku")) is not None and sku not in SKUS:
        raise ConfigurationError(f"{where}: sku {sku!r} is not one of {', '.join(SKUS)}")
    return sku


def _tokens(row: Row, column: str, where: str) -> int | None:
    if (text := row.get(column)) is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_TOKEN_DIGITS):
        raise ConfigurationError(f"{where}: {column} {text!r} is not a count of tokens like 272001")
    return int(text)


def _money(row: Row, column: str, where: str, *, highest: Decimal = _HIGHEST) -> Decimal | None:
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


def _check_ids(ids: Sequence[str], path: Path) -> None:
    for price_id in (name for name, count in Counter(ids).items() if count > 1):
        raise ConfigurationError(f"{path}: two rows are {price_id!r}: give them different days or a price_id each")
