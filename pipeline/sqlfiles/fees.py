"""What is charged beside tokens: the fees that ship with the package and those of the user's own file."""

from functools import cache
from pathlib import Path

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.catalog import resource_path
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
    row_id,
)

OWN_FEES_FILE = "own-fees.csv"
FEES_SCHEMA: dict[str, pl.DataType] = {
    "fee_id": pl.String(),
    "provider": pl.String(),
    "kind": pl.String(),
    "sku": pl.String(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
    "fee_usd": pl.Decimal(18, 6),
    "source": pl.String(),
    "read_on": pl.Date(),
    "only_source": pl.String(),
    "origin": pl.String(),
}
_OWN_COLUMNS = [name for name in FEES_SCHEMA if name != "origin"]


def own_fees_path(data_dir: Path) -> Path:
    """The user's own fees of a data folder; there may be none."""
    return data_dir / OWN_FEES_FILE


def read_fees(own: Path | None = None) -> pl.DataFrame:
    """Grain: fee_id. The shipped fees with the user's own. Raises ConfigurationError naming file, line and column."""
    if own is None or not own.exists():
        return _shipped_fees()
    fees = list(_read_shipped())
    kinds = {fee["kind"] for fee in fees}
    written = read_rows(own, columns=_OWN_COLUMNS)
    own_fees = [_fee_of(row, f"{own}:{line}", origin="own") for line, row in written]
    for (line, _), fee in zip(written, own_fees, strict=True):
        if fee["kind"] not in kinds:
            known = ", ".join(sorted(kinds))
            raise ConfigurationError(f"{own}:{line}: no fee is of the kind {fee['kind']!r}; there are: {known}")
    fees += own_fees
    check_ids([fee["fee_id"] for fee in fees], own)
    return frame_of(fees, FEES_SCHEMA)


@cache
def _shipped_fees() -> pl.DataFrame:
    return frame_of(_read_shipped(), FEES_SCHEMA)


@cache
def _read_shipped() -> tuple[Row, ...]:
    path = resource_path("data", "fees.csv")
    return tuple(_fee_of(row, f"{path.name}:{line}", origin="shipped") for line, row in read_rows(path))


def _fee_of(row: Row, where: str, *, origin: str) -> Row:
    kind, valid_from = needed(row.get("kind"), "kind", where), read_day(row, "valid_from", where)
    provider, sku, only_source = row.get("provider"), read_sku(row, where), row.get("only_source")
    return {
        "fee_id": row.get("fee_id") or row_id(origin, kind, valid_from, only_source, provider or "", sku or ""),
        "provider": provider,
        "kind": kind,
        "sku": sku,
        "valid_from": valid_from or ALWAYS,
        "valid_to": read_day(row, "valid_to", where),
        "fee_usd": needed(read_money(row, "fee_usd", where), "fee_usd", where),
        "source": row.get("source") or where,
        "read_on": read_day(row, "read_on", where),
        "only_source": only_source,
        "origin": origin,
    }
