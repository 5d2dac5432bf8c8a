"""The verbs of money, for a person at a terminal: price book, repricing, checks with budgets, bills."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.console.tables import count_of, format_decimal, frame_table, join_counts, stdout_console
from pipeline.errors import CheckFailedError, ConfigurationError
from pipeline.money.budgets import BUDGETS_FILE, check_budgets, read_budgets
from pipeline.money.repricing import (
    Charged,
    Explanation,
    check_charged,
    cost_difference_usd,
    explain_price,
    parse_day,
    plan_repricing,
    read_charged,
    read_model_names,
    reprice,
)
from pipeline.program import command
from pipeline.raw.parts import new_sync_id
from pipeline.settings.invocation import Settings
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.fees import own_fees_path
from pipeline.sqlfiles.price_book import PriceBook, own_prices_path, read_price_book
from pipeline.sqlfiles.schema import TABLE_KINDS
from pipeline.warehouse.checks import Finding, check_grains, checking, run_checks
from pipeline.warehouse.database import open_for_reading, open_for_writing, warehouse_path

# What tells most rows of one model apart and what goes in and out come first: the rest may have no room.
_WHICH = ("tier", "sku", "valid_from")
_LISTED = ("min_input_tokens", "valid_to", "match")
_ASKED = ("input", "output", "cached input", "cache write")
# What is charged for, and the name of its column.
_RATES = {
    "input": "input_usd_per_mtok",
    "cached input": "cached_input_usd_per_mtok",
    "cache write": "cache_write_usd_per_mtok",
    "output": "output_usd_per_mtok",
}


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What `check` is asked: the budgets' file, the day to judge them on, whether warnings fail."""

    budgets: Path | None = None
    at: str | None = None
    strict: bool = False


def print_prices(settings: Settings, text: str, *, as_json: bool) -> None:
    """The price book on stdout: prices, then discounts."""
    book = _book(settings)
    prices = book.prices.filter(pl.col("model").str.contains(text, literal=True))
    if as_json:
        discounts = book.discounts.to_dicts()
        print_json({"prices": prices.to_dicts(), "discounts": discounts, "fees": book.fees.to_dicts()})
        return
    console = stdout_console()
    rates = [pl.col(name).alias(name.removesuffix("_per_mtok")) for name in map(_RATES.__getitem__, _ASKED)]
    listed = prices.select("model", *_WHICH, *rates[:2], "provider", *rates[2:], *_LISTED, "discount", "origin")
    console.print(frame_table(listed, title="US dollars per million tokens"))
    if not book.discounts.is_empty():
        console.print(frame_table(book.discounts, title="Discounts on shipped prices"))
    if not text:
        fees = book.fees.select("kind", "provider", "sku", "valid_from", "valid_to", "fee_usd", "origin")
        console.print(frame_table(fees, title="US dollars beside tokens, for one of its kind"))
    console.print(
        f"({count_of(prices.height, 'prices')};"
        f" your own rows and discounts belong into {own_prices_path(settings.data_dir)},"
        f" your own fees into {own_fees_path(settings.data_dir)})",
        markup=False,
        soft_wrap=True,
    )


def print_explanation(settings: Settings, model: str, at: str | None, *, asked: Charged, as_json: bool) -> None:
    """The row that prices a model on a day, and why; `asked`: as if these charged for the profile's source."""
    on = parse_day(at, today=datetime.now(UTC).date(), where="--at")
    check_charged(asked.provider, asked.sku)
    charged, models = _source_facts(settings)
    if asked.provider is not None:
        charged = replace(charged, provider=asked.provider)
    charged = replace(charged, sku=asked.sku or charged.sku)
    found = explain_price(model, on, book=_book(settings), source=settings.source, charged=charged, models=models)
    if as_json:
        rules = {"rule": found.rule, "provider": found.provider, "provider_rule": found.provider_rule}
        rows = {"price": found.price, "row": found.row_days, "steps": found.steps}
        print_json({"model": model, "on": on, **rules, "sku": found.sku, **rows, "did_you_mean": found.near})
        return
    for line in _explanation_lines(found):
        print(line)


def reprice_ledger(settings: Settings, model: str | None, *, yes: bool, lock_wait_s: float, as_json: bool) -> None:
    """Show what repricing changes, ask, write. Raises ConfigurationError where nobody can be asked."""
    warehouse = warehouse_path(settings.data_dir)
    _must_exist(warehouse)
    with open_for_writing(warehouse, wait_s=lock_wait_s) as connection:
        changes = plan_repricing(connection, model=model)
    wanted = not changes.is_empty() and (yes or _confirm(changes, as_json=as_json))
    repricing_id = new_sync_id(datetime.now(UTC)) if wanted else None
    if repricing_id is not None:
        with open_for_writing(warehouse, wait_s=lock_wait_s) as connection:
            changes = reprice(connection, repricing_id=repricing_id, now=datetime.now(UTC), model=model)
    if as_json:
        print_json({"repricing_id": repricing_id, "changes": changes.to_dicts()})
    elif changes.is_empty():
        print("nothing to reprice: the ledger is what today's price book makes of it")
    elif repricing_id is None:
        print("nothing was written")
    else:
        if yes:
            _print_changes(changes)
        print(
            f"repriced {count_of(int(changes['steps'].sum()), 'steps')}; the table repricings has it as {repricing_id}"
        )


def check_warehouse(settings: Settings, request: CheckRequest, *, as_json: bool) -> int:
    """Exit code of `check`: 0, or that of CheckFailedError; findings go to stdout, a line each."""
    path = request.budgets or Path(BUDGETS_FILE)
    budgets = read_budgets(path) if request.budgets or path.exists() else []
    with open_for_reading(warehouse_path(settings.data_dir), bounded=True) as connection, checking(connection):
        findings = [
            *run_checks(connection),
            *check_grains(connection),
            *check_budgets(connection, budgets, now=_moment(request.at)),
        ]
    failed = any(finding.level == "fail" or request.strict for finding in findings)
    counts = {
        "checks": len(read_sql_files("checks")),
        "grains": sum(1 for kind in (*TABLE_KINDS, "views") for found in read_sql_files(kind).values() if found.grain),
        "budgets": len(budgets),
    }
    if as_json:
        print_json({"passed": not failed, "findings": [asdict(finding) for finding in findings], "checked": counts})
    else:
        _print_findings(findings, counts, strict=request.strict)
    return CheckFailedError.exit_code if failed else 0


def _print_findings(findings: Sequence[Finding], counts: dict[str, int], *, strict: bool) -> None:
    for finding in findings:
        print(finding.line)
    what = join_counts(list(counts.items()))
    failing: dict[str, list[str]] = {}
    for finding in findings:
        if finding.level == "fail" or strict:
            failing.setdefault(finding.kind, []).append(finding.name)
    # By kind, so that nobody takes a budget that was exceeded for broken data.
    named = "; ".join(f"{kind} {', '.join(names)}" for kind, names in failing.items())
    print(f"failed: {named} (of {what})" if failing else f"passed: {what}", file=sys.stderr)


def _moment(at: str | None) -> datetime:
    """Now, or the last instant of a day."""
    now = datetime.now(UTC)
    if at is None:
        return now
    day = parse_day(at, today=now.date(), where="--at")
    return datetime.combine(day, time(), tzinfo=UTC) + timedelta(days=1, microseconds=-1)


def _book(settings: Settings) -> PriceBook:
    return read_price_book(own_prices_path(settings.data_dir))


def _source_facts(settings: Settings) -> tuple[Charged, dict[str, str]]:
    """Who charges for the profile's source and what its deployments' names stand for.

    The newest sync says the first, for it prices the steps, and the profile the names; each, if it does not, the other.
    """
    charged = Charged(settings["kind"], settings["provider"], settings["sku"])
    models: dict[str, str] = settings["models"]
    warehouse = warehouse_path(settings.data_dir)
    if not warehouse.exists():
        return charged, models
    with open_for_reading(warehouse) as connection:
        synced = read_charged(connection, settings.source)
        return synced or charged, models or read_model_names(connection, settings.source)


def _explanation_lines(found: Explanation) -> list[str]:
    lines = [f"{found.model} on {found.on}: {found.rule}"]
    if (price := found.price) is None:
        lines.append(f"  provider     {found.provider}: {found.provider_rule}")
        lines += [f"  its prices   begin on {found.first_priced_on}"] if found.first_priced_on else []
        lines += [f"  did you mean {' or '.join(found.near)}?"] if found.near else []
        lines += _step_lines(found)
        return [*lines, "  add a row to your own prices, or map the deployment's name with `models` in its profile"]
    lines.append(f"  row          {price['price_id']} ({price['match']} {price['priced_model']})")
    row = f" (the row itself: {_days(found.row_days)})" if found.row_days else ""
    lines.append(f"  provider     {found.provider}: {found.provider_rule}")
    lines.append(f"  holds        {_days(price)}{row}")
    lines += [f"  sku          {found.sku}"] if found.sku else []
    lines += [f"  requests     {sizes}"] if (sizes := _sizes(price)) else []
    for label, name in _RATES.items():
        if label != "cache write" or price[name] is not None:
            lines.append(f"  {label:<12} {_rate(price[name], price['list_' + name])}")
    if price["discount"] != 1:
        by = f" by {price['discount_id']}" if price["discount_id"] else ""
        lines.append(f"  discount     {format_decimal(price['discount'], least_digits=2)} of the list price{by}")
    return lines + _step_lines(found)


def _step_lines(found: Explanation) -> list[str]:
    """A line for each other tier and size of a request: input / cached input / cache write / output."""
    lines = []
    for row in found.steps:
        if row["price_id"] != (found.price or {}).get("price_id"):
            rates = " / ".join(
                "-" if row[name] is None else format_decimal(row[name], least_digits=2) for name in _RATES.values()
            )
            sizes = f" ({text})" if (text := _sizes(row)) else ""
            lines.append(f"  {row['tier']:<12} {rates}{sizes}")
    return ["  other rates  input / cached / cache write / output, USD per million tokens", *lines] if lines else []


def _sizes(row: dict[str, Any]) -> str:
    least, below = row["min_input_tokens"], row["below_input_tokens"]
    words = [f"from {least:,}" if least else "", f"to {below - 1:,}" if below else ""]
    return f"{' '.join(word for word in words if word)} input tokens" if any(words) else ""


def _days(dated: dict[str, Any]) -> str:
    return f"from {dated['valid_from']} " + (f"to {dated['valid_to']}" if dated["valid_to"] else "on")


def _rate(paid: Decimal | None, listed: Decimal | None) -> str:
    if paid is None or listed is None:
        return "none: charged like input"
    text = f"{format_decimal(paid, least_digits=2)} USD per million tokens"
    return text if paid == listed else f"{text} (list {format_decimal(listed, least_digits=2)})"


def _confirm(changes: pl.DataFrame, *, as_json: bool) -> bool:
    if as_json:
        return False
    _print_changes(changes)
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody is there to say yes: look at the difference above, then add --yes")
    return input("Write this to the ledger? [y/N] ").strip().lower() in ("y", "yes")


def _print_changes(changes: pl.DataFrame) -> None:
    console = stdout_console()
    console.print(frame_table(changes))
    console.print(f"difference: {format_decimal(cost_difference_usd(changes), least_digits=2)} USD")


def _must_exist(warehouse: Path) -> None:
    if not warehouse.exists():
        raise ConfigurationError(f"there is no warehouse at {warehouse}: run `{command('sync --sample')}` first")


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout; money and instants as texts."""
    print(json.dumps(value, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
