"""The verbs of bills, for a person at a terminal: `import-usage` and `explain-cost`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.console.tables import count_of, format_decimal, frame_table, stdout_console
from pipeline.errors import ConfigurationError
from pipeline.flatten.bills import unfinished_reports
from pipeline.http.client import ApiClient
from pipeline.http.event_loop import run_in_loop
from pipeline.http.pacing import Pacer
from pipeline.money.repricing import parse_day
from pipeline.money.usage_import import (
    ADMIN_KEY_VARIABLE,
    BillsImported,
    admin_endpoint,
    fetch_bills,
    land_bills,
    make_newest,
    read_bill_files,
)
from pipeline.program import command
from pipeline.protocol.pages import BilledPage
from pipeline.raw.places import raw_store
from pipeline.settings.invocation import Settings
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.verbs.money import print_json
from pipeline.warehouse.database import open_for_reading, warehouse_path
from pipeline.warehouse.load import load_new_parts

_DAYS_BACK = 30

_DAY_PRICES = """
select source, model, sum(cost_usd) as cost_usd, count(*) filter (where kind = 'step') as steps,
    count(*) filter (where kind = 'run_rest') as rests, price_id, sum(prompt_tokens) as prompt_tokens,
    sum(cached_tokens) as cached_tokens, sum(completion_tokens) as completion_tokens, match,
    count(*) filter (where is_posted and kind = 'step') as posted_steps,
    count(*) filter (where is_posted and kind = 'run_rest') as posted_rests
from usage_costs where created_on = $day
group by all order by cost_usd desc nulls last, source, model, price_id
"""
_DAY_BILL = """
select source, project_id, model, billed_usd, list_usd, priced_usd, computed_usd, computed_from, difference_usd,
    explanations
from reconciliation where day = $day
order by abs(difference_usd) desc nulls last, coalesce(billed_usd, list_usd) desc nulls last, source, project_id, model
"""
_ROWS = """
select coalesce(held.object, counted.object) as object, held.rows, coalesce(counted.rows, 0) as counted
from (select object, count(*) as rows from billed_usage where source = $source group by object) as held
left join (select object, count(*) as rows from counted_bills where source = $source group by object) as counted
    on counted.object is not distinct from held.object
"""
_COVERAGE = """
select source, count(*) as threads, count(*) filter (where status = 'synced') as synced,
    count(*) filter (where status = 'missing') as missing, count(*) filter (where status in ('known', 'failed')) as open
from threads group by source order by source
"""
_DAYS = "select min(created_on) as first_on, max(created_on) as last_on from usage_costs"
_FEES = """
select source, provider, count(*) as sessions, sum(fee_usd) as fee_usd
from code_interpreter_sessions where cast(started_at at time zone 'UTC' as date) = $day
group by all order by source
"""


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """What `import-usage` is asked: files, or `admin` to fetch from a day on; for a source, else the profile's."""

    files: Sequence[Path] = ()
    admin: bool = False
    since: str | None = None
    source: str | None = None
    lock_wait_s: float = 30.0


def import_bills(settings: Settings, request: UsageRequest, *, as_json: bool) -> None:
    """Land and load bills, and say what they tell of."""
    if request.admin == bool(request.files):
        raise ConfigurationError("name the files to import, or give --admin to fetch usage and costs (not both)")
    now, source = datetime.now(UTC), request.source or settings.source
    if request.admin:
        since = parse_day(request.since, today=(now - timedelta(days=_DAYS_BACK)).date(), where="--since")
        pages = run_in_loop(_fetch(settings, source, since))
    else:
        pages = read_bill_files(request.files, source=source, now=now)
        for report in unfinished_reports(pages):
            print(
                f"warning: the {report} report goes on after these files (has_more): import its other pages too",
                file=sys.stderr,
            )
    store, warehouse = raw_store(settings.data_dir), warehouse_path(settings.data_dir)
    held = _count_rows(warehouse, source)
    imported = land_bills(store, make_newest(store, pages, source=source), source=source, now=now)
    load_new_parts(store, warehouse, wait_s=request.lock_wait_s)
    _print_imported(imported, source, _outcome(held, _count_rows(warehouse, source), imported.rows), as_json=as_json)


def _count_rows(warehouse: Path, source: str) -> pl.DataFrame:
    """Rows of the bills that the warehouse holds; grain: object."""
    if not warehouse.exists():
        return pl.DataFrame(schema={"object": pl.String(), "rows": pl.Int64(), "counted": pl.Int64()})
    with open_for_reading(warehouse) as connection:
        return read_frame(connection, _ROWS, {"source": source})


def _outcome(before: pl.DataFrame, after: pl.DataFrame, imported: int) -> dict[str, int]:
    """What an import did: rows of earlier ones that it replaced, and rows that now stand beside better grouped ones."""
    held, holds = int(before["rows"].sum()), int(after["rows"].sum())
    return {"replaced": held + imported - holds, "not_counted": holds - int(after["counted"].sum())}


async def _fetch(settings: Settings, source: str, since: date) -> list[BilledPage]:
    base_url = settings["base_url"] if settings["kind"] == "openai" else None
    endpoint = admin_endpoint(base_url, settings.environ.get(ADMIN_KEY_VARIABLE))
    async with ApiClient(endpoint, Pacer(concurrency=1), policy=settings.retry_policy) as client:
        return await fetch_bills(client, source=source, since=since)


def _print_imported(imported: BillsImported, source: str, outcome: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "source": source,
                "pages": imported.pages,
                "rows": imported.rows,
                "first_on": imported.first_on,
                "last_on": imported.last_on,
                **outcome,
            }
        )
        return
    days = f" from {imported.first_on} to {imported.last_on}" if imported.rows else ""
    print(f"imported {count_of(imported.rows, 'rows')} (files or pages: {imported.pages:,}) into source {source}{days}")
    if outcome["replaced"]:
        print(f"replaced {count_of(outcome['replaced'], 'rows')} of the same report, day and group")
    if outcome["not_counted"]:
        print(
            f"not counted: {count_of(outcome['not_counted'], 'rows')} of reports that are grouped more coarsely than"
            " others of the same day (view counted_bills)"
        )
    print(f"next: {command('query bill_differences')} or {command('explain-cost --on DATE')}")


def print_day(settings: Settings, on: str, *, as_json: bool) -> None:
    """A day's cost, step by step: what was priced and how, what was not, what the bill says."""
    day = parse_day(on, today=datetime.now(UTC).date(), where="--on")
    with open_for_reading(warehouse_path(settings.data_dir)) as connection:
        found = _read_day(connection, day)
    if as_json:
        print_json({"day": day, **{name: frame.to_dicts() for name, frame in found.items() if name != "days"}})
        return
    if all(found[name].is_empty() for name in ("prices", "fees", "bill")):
        print(_empty_day(found["days"], day))
        return
    console = stdout_console()
    for line in _day_lines(found, day):
        # What can be pasted is not folded.
        console.print(line, soft_wrap=isinstance(line, str))


def _read_day(connection: Connection, day: date) -> dict[str, pl.DataFrame]:
    params = {"day": day}
    return {
        "prices": read_frame(connection, _DAY_PRICES, params),
        "fees": read_frame(connection, _FEES, params),
        "bill": read_frame(connection, _DAY_BILL, params),
        "coverage": read_frame(connection, _COVERAGE),
        "days": read_frame(connection, _DAYS),
    }


def _empty_day(days: pl.DataFrame, day: date) -> str:
    """That there is nothing of a day, and of which days there is something."""
    first_on, last_on = days.row(0)
    nothing = f"{day}: no usage, no fee and no bill in what is here"
    return nothing if first_on is None else f"{nothing}; there is usage from {first_on} to {last_on}"


def _day_lines(found: dict[str, pl.DataFrame], day: date) -> list[Any]:
    prices, bill = found["prices"], found["bill"]
    lines: list[Any] = [f"1. What {day} cost (UTC)"]
    if prices.is_empty():
        lines.append("   no step was created on that day in what has been synced")
    else:
        unpriced = prices.filter(pl.col("price_id").is_null())
        total = sum(prices["cost_usd"].drop_nulls(), Decimal(0))
        lines.append(
            f"   {format_decimal(total, least_digits=2)} USD for {_entries(prices)},"
            f" without a price: {_entries(unpriced)}"
        )
        lines.append(
            f"   in the ledger: {_entries(prices, 'posted_')};"
            f" a new price book does not change them, `{command('prices reprice')}` does"
        )
        row = command("prices explain MODEL --at DATE")
        lines += ["", f"2. How: tokens times price, by price row (`{row}` shows one)"]
        lines.append(frame_table(prices))
    if not found["fees"].is_empty():
        lines += [
            "",
            "   Code interpreter sessions that began on that day, not in the cost above",
            frame_table(found["fees"]),
        ]
    lines += ["", "3. What the bill says"]
    if bill.is_empty():
        either = " or ".join(f"`{command(f'import-usage {what}')}`" for what in ("FILE...", "--admin"))
        lines.append(f"   nothing: import it with {either}")
    else:
        lines.append(frame_table(bill.drop("explanations")))
        lines += ["", "4. What could explain a difference"]
        lines += _explanation_lines(bill) or ["   nothing to explain: every row agrees to the last digit"]
    return [*lines, "", "Threads that these numbers cover", frame_table(found["coverage"])]


def _entries(prices: pl.DataFrame, of: str = "") -> str:
    """How many steps, and rests of runs where there are any."""
    steps, rests = (int(prices[f"{of}{name}"].sum()) for name in ("steps", "rests"))
    return count_of(steps, "steps") + (f" and {count_of(rests, 'rests')} of runs" if rests else "")


def _explanation_lines(bill: pl.DataFrame) -> list[str]:
    return [
        f"   {row['model'] or 'no model'}{' in ' + row['project_id'] if row['project_id'] else ''}: {explanation}"
        for row in bill.iter_rows(named=True)
        for explanation in row["explanations"]
    ]
