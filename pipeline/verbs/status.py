"""What a data folder holds and which settings are in force, told to a person or a machine on stdout."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.console.tables import count_of, format_decimal, frame_table, stdout_console
from pipeline.program import command
from pipeline.raw.places import raw_store
from pipeline.settings.invocation import Settings
from pipeline.warehouse.database import open_for_reading, warehouse_path
from pipeline.warehouse.overview import (
    next_commands,
    read_row_counts,
    read_spent,
    read_status,
    read_top_tools,
)


def print_outcome(warehouse: Path, *, sources: Sequence[str]) -> None:
    """What came out of a sync: tables, tools, and what to type next, on stdout."""
    with open_for_reading(warehouse) as connection:
        counts, tools = read_row_counts(connection), read_top_tools(connection, sources=sources)
        spent = read_spent(connection, sources=sources)
    console = stdout_console()
    console.print()
    console.print(frame_table(counts, title="Tables"))
    if tools.height:
        console.print()
        console.print(frame_table(tools, title="Tools called most"))
    console.print(f"\n[bold]Spent[/bold]  {_spent(spent)}")
    console.print(f"\n[bold]DuckDB file[/bold]  {warehouse}\n\n[bold]Next[/bold]")
    for line in next_commands(moved=len(sources) > 1):
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _spent(spent: dict[str, Any]) -> str:
    """In words: money for tokens, fees beside it, and what is in neither."""
    cost, fees = (_usd(spent[name]) for name in ("cost_usd", "fee_usd"))
    unknown = [
        (spent["unpriced_steps"], "steps", ""),
        (spent["unpriced_rests"], "rests", " of runs"),
        (spent["unknown_fees"], "fees", ""),
    ]
    counts = ", ".join(f"{count_of(number, nouns)}{of}" for number, nouns, of in unknown if number)
    return f"{cost} for tokens, {fees} of fees beside it" + (f"; of unknown cost: {counts}" if counts else "")


def _usd(value: Decimal | None) -> str:
    return "nothing" if value is None else f"{format_decimal(round(value, 2), least_digits=2)} USD"


def print_status(data_dir: Path, *, as_json: bool) -> None:
    """The state of a data folder on stdout."""
    status = read_status(raw_store(data_dir), warehouse_path(data_dir))
    if as_json:
        print(json.dumps(status.as_dict()))
        return
    console = stdout_console()
    if status.size_bytes is None:
        console.print(
            f"no warehouse at {status.warehouse} yet: {command('sync --sample')} makes one",
            markup=False,
            soft_wrap=True,
        )
    else:
        console.print(f"[bold]Warehouse[/bold]  {status.warehouse} ({status.size_bytes / 2**20:,.1f} MiB)")
    console.print(f"[bold]Raw parts[/bold]  {status.raw_parts:,}, of which {status.waiting_parts:,} wait to be loaded")
    if status.waiting_parts:
        console.print(f"           load them with: {command('load')}", markup=False, soft_wrap=True)
    if status.sources.height:
        console.print()
        console.print(frame_table(status.sources, title="Sources"))


def print_config(settings: Settings, *, as_json: bool) -> None:
    """Settings in force with their origin, secrets masked, on stdout."""
    rows = settings.describe()
    if as_json:
        print(json.dumps({name: {"value": value, "origin": origin} for name, value, origin in rows}))
        return
    frame = pl.DataFrame(rows, schema=["setting", "value", "from"], orient="row")
    stdout_console().print(frame_table(frame))
