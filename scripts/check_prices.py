"""Cross-check of data/prices.csv with the installed genai-prices: prints every difference, a line each; exit code 0.

A difference is for a person to judge: that list has little price history, and ours has names that it does not know.
"""

import csv
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers

_PRICES = Path(__file__).parents[1] / "data" / "prices.csv"
_RATES = (
    ("input", "input_usd_per_mtok"),
    ("cached input", "cached_input_usd_per_mtok"),
    ("output", "output_usd_per_mtok"),
)


def main() -> None:
    """Compare each row on the first and, if it still holds, on this day."""
    with _PRICES.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    today = datetime.now(UTC).date()
    differences = [line for row in rows for line in _compare(row, today)]
    for line in differences:
        print(line)
    print(
        f"{len(rows)} rows against genai-prices {version('genai-prices')}: {len(differences)} differences",
        file=sys.stderr,
    )


def _compare(row: dict[str, str], today: date) -> list[str]:
    model = row["model"].replace("*", "x")
    on = date.fromisoformat(row["valid_from"]) if row["valid_to"] else today
    theirs = _their_rates(row["provider"], model, on)
    if theirs is None:
        return [f"{row['price_id']}: they do not know the name"]
    ours = [Decimal(row[column]) if row[column] else None for _, column in _RATES]
    return [
        f"{row['price_id']}: {label} {_shown(own)}, theirs on {on} {_shown(other)}"
        for (label, _), own, other in zip(_RATES, ours, theirs, strict=True)
        if own != other
    ]


def _their_rates(provider: str, model: str, on: date) -> list[Decimal | None] | None:
    """Input, cached input and output of the first model of that provider, or of openai, that matches the name."""
    for name in (provider, "openai"):
        for found in next(known for known in providers if known.id == name).models:
            if found.match.is_match(model):
                price = found.get_prices(datetime.combine(on, time(12), tzinfo=UTC))
                return [_base(getattr(price, field)) for field in ("input_mtok", "cache_read_mtok", "output_mtok")]
    return None


def _base(value: Any) -> Decimal | None:
    """The price below any tier."""
    base = getattr(value, "base", value)
    return None if base is None else Decimal(base)


def _shown(value: Decimal | None) -> str:
    return "none" if value is None else f"{value:f}"


if __name__ == "__main__":
    main()
