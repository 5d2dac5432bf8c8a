"""The price book: the list that ships with the package and the rows and discounts of the user's own file."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.catalog import resource_path
from pipeline.sqlfiles.fees import own_fees_path, read_fees
from pipeline.sqlfiles.written_rows import (
    ALWAYS,
    Row,
    check_ids,
    frame_of,
    needed,
    read_day,
    read_money,
    read_rows,
    read_sku,
    read_text,
    read_tokens,
    row_id,
)

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
_OWN_COLUMNS = [name for name in PRICES_SCHEMA if name != "origin"]
_MOST_DISCOUNT = Decimal(100)


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Prices, discounts and fees (grain: price_id, discount_id, fee_id), as their tables in `sql/tables/` have them."""

    prices: pl.DataFrame
    discounts: pl.DataFrame
    fees: pl.DataFrame


def own_prices_path(data_dir: Path) -> Path:
    """The user's own price file of a data folder; there may be none."""
    return data_dir / OWN_PRICES_FILE


def read_price_book(own: Path | None = None) -> PriceBook:
    """The shipped lists with the user's own rows; own fees lie beside own prices.

    Raises ConfigurationError naming file, line and column.
    """
    if own is None or not own.exists():
        fees = read_fees(None if own is None else own_fees_path(own.parent))
        return PriceBook(_shipped_prices(), pl.DataFrame(schema=DISCOUNTS_SCHEMA), fees)
    prices = list(_read_shipped())
    discounts = list[Row]()
    for line, row in read_rows(own, columns=_OWN_COLUMNS):
        where = f"{own}:{line}"
        if row.get("input_usd_per_mtok") or row.get("output_usd_per_mtok"):
            prices.append(_price_of(row, where, origin="own"))
        else:
            discounts.append(_discount_of(row, where))
    check_ids([row["price_id"] for row in prices] + [row["discount_id"] for row in discounts], own)
    fees = read_fees(own_fees_path(own.parent))
    return PriceBook(frame_of(prices, PRICES_SCHEMA), frame_of(discounts, DISCOUNTS_SCHEMA), fees)


@cache
def _read_shipped() -> tuple[Row, ...]:
    path = resource_path("data", "prices.csv")
    return tuple(_price_of(row, f"{path.name}:{line}", origin="shipped") for line, row in read_rows(path))


@cache
def _shipped_prices() -> pl.DataFrame:
    return frame_of(_read_shipped(), PRICES_SCHEMA)


def _price_of(row: Row, where: str, *, origin: str) -> Row:
    model, only_source = read_text(row, "model", where), row.get("only_source")
    valid_from = read_day(row, "valid_from", where)
    match = row.get("match") or ("pattern" if _is_pattern(model) else "exact")
    discount = read_money(row, "discount", where, highest=_MOST_DISCOUNT)
    tier, sku = row.get("tier", STANDARD).lower(), read_sku(row, where)
    least = read_tokens(row, "min_input_tokens", where) or 0
    if match not in _MATCHES:
        raise ConfigurationError(f"{where}: match {match!r} is not one of {', '.join(_MATCHES)}")
    return {
        "price_id": row.get("price_id") or row_id(origin, model, valid_from, only_source, *_step_of(tier, sku, least)),
        "provider": row.get("provider"),
        "model": model,
        "match": match,
        "stands_for": row.get("stands_for"),
        "tier": tier,
        "sku": sku,
        "min_input_tokens": least,
        "max_input_tokens": read_tokens(row, "max_input_tokens", where),
        "valid_from": valid_from or ALWAYS,
        "valid_to": read_day(row, "valid_to", where),
        "input_usd_per_mtok": needed(read_money(row, "input_usd_per_mtok", where), "input_usd_per_mtok", where),
        "cached_input_usd_per_mtok": read_money(row, "cached_input_usd_per_mtok", where),
        "cache_write_usd_per_mtok": read_money(row, "cache_write_usd_per_mtok", where),
        "output_usd_per_mtok": needed(read_money(row, "output_usd_per_mtok", where), "output_usd_per_mtok", where),
        "source": row.get("source") or where,
        "read_on": read_day(row, "read_on", where),
        "discount": Decimal(1) if discount is None else discount,
        "only_source": only_source,
        "origin": origin,
    }


def _discount_of(row: Row, where: str) -> Row:
    model, only_source = read_text(row, "model", where), row.get("only_source")
    valid_from = read_day(row, "valid_from", where)
    discount = read_money(row, "discount", where, highest=_MOST_DISCOUNT)
    if discount is None:
        raise ConfigurationError(
            f"{where}: a row needs prices (input_usd_per_mtok and output_usd_per_mtok) or a discount"
            " (0.9 means that 90 cents are paid for each dollar of the list price)"
        )
    return {
        "discount_id": row.get("price_id") or row_id("discount", model, valid_from, only_source),
        "model": model,
        "valid_from": valid_from or ALWAYS,
        "valid_to": read_day(row, "valid_to", where),
        "discount": discount,
        "only_source": only_source,
        "source": row.get("source") or where,
    }


def _step_of(tier: str, sku: str | None, least: int) -> tuple[str, ...]:
    """What tells rows of one model and day apart: nothing for the usual one."""
    return (sku or "", "" if tier == STANDARD else tier, f"from {least} input tokens" if least else "")


def _is_pattern(model: str) -> bool:
    return "*" in model or "?" in model
