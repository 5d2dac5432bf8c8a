"""Compare data/prices.csv with lists of others that are installed; exit code 1 on a difference that nobody has judged.

Judged differences stand in scripts/judged_price_differences.csv, with the reason and the day. One that is gone
fails too: then the list or ours has changed, and the line goes. `--unjudged` prints the new ones as lines of that file.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from price_lists import Quote, read_azure_meters, read_genai_prices, read_litellm

_ROOT = Path(__file__).parents[1]
_PRICES = _ROOT / "data" / "prices.csv"
_JUDGED = Path(__file__).with_name("judged_price_differences.csv")
_LISTS = {
    "genai-prices": read_genai_prices,
    "litellm": read_litellm,
    "azure-genai-prices": read_azure_meters,
}
_RATES = {
    "input": "input_usd_per_mtok",
    "cached input": "cached_input_usd_per_mtok",
    "cache write": "cache_write_usd_per_mtok",
    "output": "output_usd_per_mtok",
}
_FOREVER = date.max.isoformat()


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a list says otherwise than ours; `theirs` is empty where it has no such rate, `ours` where we have none."""

    list: str
    provider: str
    model: str
    sku: str
    tier: str
    size: str
    on: str
    field: str
    ours: str
    theirs: str


def main() -> int:
    """Exit code: 0 if every difference was judged and every judged one is still there."""
    with _PRICES.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    judged = _read_judged()
    found = {name: list(_compare(name, read(), rows)) for name, read in _LISTS.items()}
    differences = {difference for ones in found.values() for difference in ones}
    new, gone = sorted(differences - judged.keys(), key=astuple), sorted(judged.keys() - differences, key=astuple)
    if "--unjudged" in sys.argv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(astuple(difference) for difference in new)
    else:
        _print_all("new", new)
        _print_all("judged, but there no more", gone)
    for name, ones in found.items():
        print(f"{name} {version(name)}: {len(set(ones))} differences", file=sys.stderr)
    counts = f"{len(rows)} rows, {len(differences)} differences, {len(judged)} judged, {len(new)} new, {len(gone)} gone"
    print(counts, file=sys.stderr)
    return 1 if new or gone else 0


def _print_all(what: str, differences: list[Difference]) -> None:
    for one in differences:
        name = " ".join(part for part in (one.provider, one.model, one.sku, one.tier, one.size) if part)
        print(
            f"{what}: {one.list}: {name} on {one.on}: {one.field} {one.ours or 'none'}, theirs {one.theirs or 'none'}"
        )


def _read_judged() -> dict[Difference, str]:
    """The reason of each; it must have one, and a day."""
    names = Difference.__slots__
    with _JUDGED.open(encoding="utf-8", newline="") as lines:
        judged = {}
        for line, row in enumerate(csv.DictReader(lines), start=2):
            if not row["reason"] or not row["judged_on"]:
                sys.exit(f"{_JUDGED.name}:{line}: a judged difference needs a reason and judged_on")
            judged[Difference(**{name: row[name] for name in names})] = row["reason"]
    return judged


def _compare(name: str, quotes: list[Quote], rows: list[dict[str, str]]) -> Iterator[Difference]:
    """A name that only they have is a difference of its own, once; one that only we have is not."""
    ours = {key: _rows_of(*key, rows) for key in dict.fromkeys(map(_key_of, quotes))}
    for quote in quotes:
        held = ours[_key_of(quote)]
        key = (name, *_key_of(quote))
        if not held:
            yield Difference(*key, "", "", "any day", "a row", "", "one")
            continue
        row = _row_on(quote, held)
        place = (quote.tier, str(quote.least or ""), quote.label)
        if row is None:
            yield Difference(*key, *place, "a row", "", _shown(quote.rates.get("input")))
            continue
        for field, column in _RATES.items():
            own = Decimal(row[column]) if row[column] else None
            if field in quote.fields and own != quote.rates.get(field):
                yield Difference(*key, *place, field, _shown(own), _shown(quote.rates.get(field)))


def _key_of(quote: Quote) -> tuple[str, str, str]:
    return quote.provider, quote.model, quote.sku


def _rows_of(provider: str, model: str, sku: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows for the very name; where there are none, of the patterns that it matches."""
    held = [row for row in rows if (row["provider"], row["sku"]) == (provider, sku)]
    named = [row for row in held if row["match"] != "pattern" and row["model"] == model]
    return named or [row for row in held if row["match"] == "pattern" and fnmatchcase(model, row["model"])]


def _row_on(quote: Quote, held: list[dict[str, str]]) -> dict[str, str] | None:
    """The row for the tier, the size and the day that they quote."""
    for row in held:
        size = (int(row["min_input_tokens"] or 0), int(row["max_input_tokens"] or quote.least or 0))
        in_time = row["valid_from"] <= quote.on.isoformat() < (row["valid_to"] or _FOREVER)
        if in_time and (row["tier"] or "standard") == quote.tier and size[0] == quote.least <= size[1]:
            return row
    return None


def _shown(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"


if __name__ == "__main__":
    raise SystemExit(main())
