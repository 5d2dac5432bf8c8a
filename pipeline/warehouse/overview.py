"""What is there: the state of a data folder, for `status` and for the end of a sync."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.program import command
from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.raw.parts import RawStore
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.warehouse.database import open_for_reading

# Tables of interest to a person, in the order of the flow.
_TABLES = (
    "threads",
    "runs",
    "run_steps",
    "tool_calls",
    "code_interpreter_outputs",
    "file_search_results",
    "walks",
    "rejects",
    "prices",
)

# Grain: source. What each source covers. A run that ended and is known from archives only is nobody's to ask for again.
_SOURCES = f"""
with thread_counts as (
    select source, count(*) as threads,
        count(*) filter (where status = 'synced') as synced,
        count(*) filter (where status = 'known') as waiting,
        count(*) filter (where status = 'missing') as missing,
        count(*) filter (where status = 'failed') as failed,
        count(*) filter (where status = 'imported') as imported
    from threads group by source
),
run_counts as (
    select source, count(*) as runs,
        count(*) filter (
            where not sealed and (status in {TERMINAL_SQL}
                and walk_id in (select walk_id from walks where resource = 'runs' and verdict = 'imported')) is not true
        ) as open_runs
    from runs group by source
),
step_counts as (select source, count(*) as steps from run_steps group by source),
lost_counts as (select source, count(*) as lost_values from lost_values group by source),
last_syncs as (
    select source, max(started_at) as last_sync_at, max_by(coalesce(verdict, 'killed'), started_at) as last_verdict
    from syncs group by source
)
select source, threads, synced, waiting, missing, failed, imported, runs, open_runs, steps,
    coalesce(lost_values, 0) as lost_values,
    last_sync_at, last_verdict
from thread_counts
left join lost_counts using (source)
left join run_counts using (source)
left join step_counts using (source)
left join last_syncs using (source)
order by source
"""

_TOP_TOOLS = """
select name, type, cast(sum(calls) as bigint) as calls, cast(sum(failures) as bigint) as failures,
    round(sum(cost_usd), 4) as cost_usd
from tool_usage
where source in (select unnest($sources))
group by name, type
order by calls desc, name
limit 10
"""

_SPENT = """
select sum(cost_usd) as cost_usd, sum(fee_usd) as fee_usd,
    count(*) filter (where unpriced_reason is not null and kind = 'step') as unpriced_steps,
    count(*) filter (where unpriced_reason is not null and kind = 'run_rest') as unpriced_rests,
    count(*) filter (where kind = 'fee' and fee_usd is null) as unknown_fees
from spending
where source in (select unnest($sources))
"""


@dataclass(frozen=True, slots=True)
class Status:
    """A data folder: `waiting_parts` have landed but are not loaded."""

    warehouse: Path
    size_bytes: int | None
    raw_parts: int
    waiting_parts: int
    sources: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "warehouse": str(self.warehouse),
            "size_bytes": self.size_bytes,
            "raw_parts": self.raw_parts,
            "waiting_parts": self.waiting_parts,
            "sources": self.sources.with_columns(pl.col(pl.Datetime).dt.to_string("iso:strict")).to_dicts(),
        }


def read_status(store: RawStore, warehouse: Path) -> Status:
    """The state of a data folder, also of an empty one."""
    parts = [part.name for part in store.list_parts()]
    if not warehouse.exists():
        return Status(warehouse, None, len(parts), len(parts), pl.DataFrame())
    with open_for_reading(warehouse) as connection:
        held = set(read_frame(connection, "select part from loaded_parts")["part"])
        sources = read_frame(connection, _SOURCES)
    waiting = sum(name not in held for name in parts)
    if waiting:
        # How a sync ended is in its last part.
        sources = sources.with_columns(pl.col("last_verdict").replace("killed", "not loaded yet"))
    return Status(warehouse, warehouse.stat().st_size, len(parts), waiting, sources)


def read_row_counts(connection: Connection) -> pl.DataFrame:
    """Tables with their rows and what they are; grain: table."""
    tables = read_sql_files("tables")
    selects = [f"select '{name}' as table_name, count(*) as rows from {name}" for name in _TABLES]
    counts = read_frame(connection, " union all ".join(selects))
    summaries = [re.split("[;:,.]", tables[name].summary)[0] for name in counts["table_name"]]
    return counts.with_columns(pl.Series("what", summaries))


def read_top_tools(connection: Connection, *, sources: Sequence[str]) -> pl.DataFrame:
    """The ten tools called most, with their failures and cost; grain: name, type."""
    return read_frame(connection, _TOP_TOOLS, {"sources": list(sources)})


def read_spent(connection: Connection, *, sources: Sequence[str]) -> dict[str, Any]:
    """What sources have cost, the fees beside it, and how much of both is unknown."""
    return read_frame(connection, _SPENT, {"sources": list(sources)}).row(0, named=True)


def next_commands(*, moved: bool = False) -> list[str]:
    """What to type after a sync; `moved`: it brought what was before a move and what came after it."""
    named = ("spend_by_model", "top_tools", "completeness_summary")
    return [
        *(command(f"query {name}") for name in (("spend_by_protocol", *named) if moved else named)),
        command('query "select model, sum(cost_usd) as usd from run_costs group by model order by usd desc"'),
        command("status"),
    ]
