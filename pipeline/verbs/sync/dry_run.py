"""What a sync would do, from the warehouse alone: threads, runs, requests, time; nothing is asked of the server."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from pipeline.console.tables import frame_table, stdout_console
from pipeline.extract.known_threads import read_thread_states
from pipeline.protocol.cursors import USUAL_LIMITS
from pipeline.protocol.lists import PAGE_LIMIT
from pipeline.sqlfiles.duck import read_frame, register
from pipeline.warehouse.database import open_for_reading


def _pages(items: str) -> str:
    """SQL for the requests that a list of so many items takes: a last page as long as a limit is asked on."""
    full = ", ".join(str(limit % PAGE_LIMIT) for limit in sorted(USUAL_LIMITS))
    pages = f"greatest(1, cast(ceil({items} / {PAGE_LIMIT}) as bigint))"
    return f"({pages} + if({items} > 0 and {items} % {PAGE_LIMIT} in ({full}), 1, 0))"


def _is_long(items: str) -> str:
    """SQL for whether a list has a second page: the first such list of each kind is asked whether its cursor skips."""
    return f"coalesce({items} > {PAGE_LIMIT}, false)"


# Grain: one named thread. Requests at least: pages of its runs that are not sealed, and of their steps as last seen.
_THREAD_PLANS = f"""
with run_steps_known as (
    select thread_id, run_id, count(*) as steps from run_steps where source = $source group by thread_id, run_id
),
run_pages as (
    select runs.thread_id, runs.run_id, runs.sealed,
        {_pages("coalesce(run_steps_known.steps, 0)")} as pages,
        {_is_long("run_steps_known.steps")} as is_long
    from runs
    left join run_steps_known using (thread_id, run_id)
    where runs.source = $source
),
thread_runs as (
    select thread_id, count(*) as runs, count(*) filter (where sealed) as sealed_runs,
        count(*) filter (where not sealed) as open_runs,
        sum(pages) as all_pages,
        coalesce(sum(pages) filter (where not sealed), 0) as open_pages,
        bool_or(is_long) as is_any_long,
        coalesce(bool_or(is_long) filter (where not sealed), false) as is_open_long
    from run_pages
    group by thread_id
),
pending as (
    select states.thread_id, sum(run_pages.pages) as pages, bool_or(run_pages.is_long) as is_long
    from (select thread_id, unnest(pending_runs).run_id as run_id from thread_states where is_listed) as states
    join run_pages using (thread_id, run_id)
    group by states.thread_id
),
plans as (
    select thread_states.thread_id,
        threads.last_synced_at is null as is_new,
        coalesce(thread_runs.runs, 0) as runs,
        coalesce(thread_runs.sealed_runs, 0) as sealed_runs,
        coalesce(thread_runs.open_runs, 0) as open_runs,
        coalesce(thread_runs.all_pages, 0) as all_pages,
        coalesce(thread_runs.open_pages, 0) as open_pages,
        coalesce(pending.pages, 0) as pending_pages,
        coalesce(thread_runs.is_any_long, false) as is_any_long,
        coalesce(thread_runs.is_open_long, false) as is_open_long,
        coalesce(pending.is_long, false) as is_pending_long,
        thread_states.is_listed,
        if(thread_states.after_id is null, 0, coalesce(thread_states.first_index, 0)) as listed_from
    from thread_states
    left join threads on threads.source = $source and threads.thread_id = thread_states.thread_id
    left join thread_runs on thread_runs.thread_id = thread_states.thread_id
    left join pending on pending.thread_id = thread_states.thread_id
)
select thread_id, is_new, sealed_runs, open_runs,
    case
        when $is_full then {_pages("runs")} + all_pages
        when is_listed then pending_pages
        else {_pages("(runs - listed_from)")} + open_pages
    end as least_requests,
    if($is_full, {_is_long("runs")}, not is_listed and {_is_long("(runs - listed_from)")}) as proves_runs,
    case when $is_full then is_any_long when is_listed then is_pending_long else is_open_long end as proves_steps
from plans
"""

# What a thread has cost that was fetched from its first run: the pages of its runs and of their steps.
_TYPICAL_REQUESTS = f"""
with run_steps_known as (
    select thread_id, run_id, count(*) as steps from run_steps where source = $source group by thread_id, run_id
),
thread_pages as (
    select threads.thread_id,
        {_pages("count(runs.run_id)")}
            + coalesce(sum({_pages("coalesce(run_steps_known.steps, 0)")})
                filter (where runs.run_id is not null), 0) as pages
    from threads
    left join runs on runs.source = threads.source and runs.thread_id = threads.thread_id
    left join run_steps_known on run_steps_known.thread_id = runs.thread_id and run_steps_known.run_id = runs.run_id
    where threads.source = $source and threads.status = 'synced'
    group by threads.thread_id
)
select avg(pages) as requests from thread_pages
"""

_LAST_RATE = """
select requests / nullif(date_diff('millisecond', started_at, finished_at) / 1000, 0) as requests_per_s
from syncs
where source = $source and requests > 0 and finished_at > started_at
order by started_at desc
limit 1
"""


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync has before it. None: nothing is known to tell it from.

    `new_threads` were never synced. `least_requests`: if nothing is new on the server. `likely_requests`: if the new
    threads are like those synced before. `seconds` is for the likely, else for the least number. `not_due` threads are
    left out by the age rule.
    """

    source: str
    threads: int
    new_threads: int
    sealed_runs: int
    open_runs: int
    least_requests: int
    likely_requests: int | None
    requests_per_s: float | None
    pace: str
    seconds: float | None
    not_due: int = 0


def plan_sync(
    thread_ids: Sequence[str],
    warehouse: Path,
    *,
    source: str,
    now: datetime,
    full: bool = False,
    requests_per_minute: float | None = None,
    not_due: int = 0,
) -> SyncPlan:
    """The plan for threads of a source, from what the warehouse knows of them."""
    given = None if requests_per_minute is None else requests_per_minute / 60
    if not warehouse.exists():
        count = len(thread_ids)
        return _plan(source, (count, count, 0, 0, count), typical=None, given=given, measured=None)
    with open_for_reading(warehouse) as connection:
        states = read_thread_states(connection, thread_ids, source=source, now=now)
        register(connection, "thread_states", states)
        plans = read_frame(connection, _THREAD_PLANS, {"source": source, "is_full": full})
        typical = read_frame(connection, _TYPICAL_REQUESTS, {"source": source}).item()
        rates = read_frame(connection, _LAST_RATE, {"source": source})["requests_per_s"]
    proofs = sum(plans[name].any() for name in ("proves_runs", "proves_steps"))
    sums = plans.select(
        pl.len(),
        pl.col("is_new", "sealed_runs", "open_runs").sum().cast(pl.Int64),
        pl.col("least_requests").sum().cast(pl.Int64) + proofs,
    ).row(0)
    plan = _plan(source, sums, typical=typical, given=given, measured=rates[0] if len(rates) else None)
    return replace(plan, not_due=not_due)


def _plan(
    source: str,
    sums: tuple[int, ...],
    *,
    typical: float | None,
    given: float | None,
    measured: float | None,
) -> SyncPlan:
    threads, new_threads, sealed_runs, open_runs, least = sums
    likely: int | None = least
    if new_threads:
        likely = None if typical is None else least + math.ceil(new_threads * max(typical - 1, 0))
    rate = given if given is not None else measured
    requests = least if likely is None else likely
    return SyncPlan(
        source=source,
        threads=threads,
        new_threads=new_threads,
        sealed_runs=sealed_runs,
        open_runs=open_runs,
        least_requests=least,
        likely_requests=likely,
        requests_per_s=rate,
        pace="requests_per_minute" if given is not None else "the last sync" if measured is not None else "unknown",
        seconds=None if rate is None else requests / rate,
    )


def print_plan(plan: SyncPlan, *, as_json: bool, has_listed: bool = False) -> None:
    """The plan on stdout; `has_listed`: the server was asked which threads it has."""
    if as_json:
        print(json.dumps(asdict(plan)))
        return
    likely = f"{plan.likely_requests:,}" if plan.likely_requests is not None else "unknown: no thread was synced before"
    pace = "unknown: give --requests-per-minute" if plan.requests_per_s is None else _pace(plan)
    rows = [
        ("threads", f"{plan.threads:,}"),
        ("never synced", f"{plan.new_threads:,}"),
        *([("not due yet, left out", f"{plan.not_due:,}")] if plan.not_due else []),
        ("sealed runs, not fetched again", f"{plan.sealed_runs:,}"),
        ("open runs", f"{plan.open_runs:,}"),
        ("requests at least", f"{plan.least_requests:,}"),
        ("requests likely", likely),
        ("pace", pace),
        ("time", "unknown" if plan.seconds is None else _duration(plan.seconds)),
    ]
    frame = pl.DataFrame(rows, schema=["plan", plan.source], orient="row")
    console = stdout_console()
    console.print(frame_table(frame))
    fetched = "Nothing but the server's list of threads" if has_listed else "Nothing"
    console.print(f"{fetched} was fetched (--dry-run).")


def _pace(plan: SyncPlan) -> str:
    return f"{plan.requests_per_s:,.1f} requests/s ({plan.pace})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
