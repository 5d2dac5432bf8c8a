"""The ledger: costs of sealed and of archived runs, written once at the price that held when they were loaded."""

from pathlib import Path

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.duck import Connection, attached, read_frame

# Tables whose rows do not follow from raw parts: a rebuild takes them over from the warehouse that it replaces.
KEPT_TABLES = ("cost_ledger", "repricings")


# Touched runs that are sealed, and finished ones that archives tell of, which nothing will ever seal.
_POSTED_RUNS = f"""
create or replace temp table posted_runs as
select source, thread_id, run_id from runs
semi join touched_runs using (source, thread_id, run_id)
where sealed
    or (
        status in {TERMINAL_SQL}
        and (
            walk_id in (select walk_id from walks where resource = 'runs' and verdict = 'imported')
            or (source, thread_id, run_id) in (
                select (source, thread_id, run_id) from walks where resource = 'steps' and verdict = 'imported'
            )
        )
        and (source, thread_id, run_id) not in (
            select (source, thread_id, run_id) from walks where resource = 'steps' and verdict = 'complete'
        )
    )
"""

# Threads whose runs are seen to at a time, from the first to the last id: what they cost takes memory to work out.
_RUNS_AT_ONCE = 8192
_SPANS = f"""
select min(thread_id), max(thread_id) from (
    select thread_id, sum(count(*)) over (order by thread_id) // {_RUNS_AT_ONCE} as span
    from posted_runs group by thread_id
) as threads
group by span order by span
"""

# Through `usage_costs`: what the ledger has keeps its price, a new step or rest gets the price of today's book.
_LEDGER_ROWS = """
create or replace temp table ledger_rows as
select usage_costs.source, usage_costs.thread_id, usage_costs.run_id, usage_costs.step_id, usage_costs.price_id,
    usage_costs.match, usage_costs.priced_model, usage_costs.input_usd_per_mtok, usage_costs.cached_input_usd_per_mtok,
    usage_costs.cache_write_usd_per_mtok,
    usage_costs.output_usd_per_mtok, usage_costs.discount, usage_costs.input_cost_usd, usage_costs.cached_cost_usd,
    usage_costs.output_cost_usd, usage_costs.cost_usd, walks.ended_at as sealed_at
from usage_costs
semi join posted_runs using (source, thread_id, run_id)
left join run_steps using (source, thread_id, run_id, step_id)
left join runs using (source, thread_id, run_id)
left join walks on walks.walk_id = coalesce(run_steps.walk_id, runs.walk_id)
where usage_costs.thread_id between $first and $last
"""

_DELETE_POSTED = """
delete from cost_ledger
where thread_id between $first and $last
    and (source, thread_id, run_id) in (select (source, thread_id, run_id) from posted_runs)
"""

_INSERT_ROWS = "insert into cost_ledger by name select columns(*) from ledger_rows"

# Once for each step: one that is there twice, and all sums with it, was doubled by what was loaded twice.
_KEEP_COSTS = """
insert into cost_ledger by name
select columns(*) from kept.cost_ledger
qualify row_number() over (partition by source, thread_id, run_id, step_id order by sealed_at desc nulls last) = 1
"""
# Earlier versions kept no threads, and took a step's id for unique in its source.
_KEEP_COSTS_OF_OLD = """
insert into cost_ledger by name
select columns(ledger.*), steps.thread_id
from kept.cost_ledger as ledger
inner join (select distinct source, thread_id, run_id, step_id from kept.run_steps) as steps
    on steps.source = ledger.source and steps.run_id = ledger.run_id and steps.step_id = ledger.step_id
where steps.thread_id is not null
qualify row_number() over (
    partition by ledger.source, steps.thread_id, ledger.run_id, ledger.step_id order by ledger.sealed_at desc nulls last
) = 1
"""

_DROP_UNFINISHED = f"""
delete from cost_ledger where (source, thread_id, run_id, step_id) not in (
    select (source, thread_id, run_id, step_id) from usage_costs
    inner join runs using (source, thread_id, run_id)
    where runs.status in {TERMINAL_SQL}
)
"""


def post_touched_runs(connection: Connection) -> None:
    """Write the costs of those of `touched_runs` that are over; a price that is there already stays."""
    connection.execute(_POSTED_RUNS)
    for first, last in connection.execute(_SPANS).fetchall():
        span = {"first": first, "last": last}
        connection.execute(_LEDGER_ROWS, span)
        connection.execute(_DELETE_POSTED, span)
        connection.execute(_INSERT_ROWS)


def keep_ledger(connection: Connection, old: Path) -> int | None:
    """Take the ledger over from another warehouse file; how many steps it has, None if there is no ledger to keep."""
    if not old.exists():
        return None
    with attached(connection, old, "kept") as tables:
        if not set(KEPT_TABLES) <= tables:
            return None
        connection.execute("insert into repricings by name select columns(*) from kept.repricings")
        columns = connection.execute("describe kept.cost_ledger").fetchall()
        has_threads = "thread_id" in {name for name, *_ in columns}
        connection.execute(_KEEP_COSTS if has_threads else _KEEP_COSTS_OF_OLD)
    count: int = read_frame(connection, "select count(*) as steps from cost_ledger").item()
    return count


def drop_unfinished(connection: Connection) -> None:
    """Forget what the ledger says of what is not, or no longer, a step or a rest of a finished run."""
    connection.execute(_DROP_UNFINISHED)
