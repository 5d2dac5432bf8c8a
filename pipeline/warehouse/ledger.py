"""The ledger: costs of sealed and of archived runs, written once at the price that held when they were loaded."""

from pathlib import Path

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.duck import Connection, attached, read_frame
from pipeline.warehouse.stored_costs import drop_stored, store_work, work_out

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

# What the ledger has keeps its price, a new step or rest gets the price of today's book.
_LEDGER_ROWS = """
insert into cost_ledger by name
select costs_at_work.source, costs_at_work.thread_id, costs_at_work.run_id, costs_at_work.step_id,
    costs_at_work.price_id, costs_at_work.match, costs_at_work.priced_model, costs_at_work.input_usd_per_mtok,
    costs_at_work.cached_input_usd_per_mtok, costs_at_work.cache_write_usd_per_mtok, costs_at_work.output_usd_per_mtok,
    costs_at_work.discount, costs_at_work.input_cost_usd, costs_at_work.cached_cost_usd, costs_at_work.output_cost_usd,
    costs_at_work.cost_usd, walks.ended_at as sealed_at
from costs_at_work
left join steps_at_work as run_steps using (source, thread_id, run_id, step_id)
left join runs_at_work as runs using (source, thread_id, run_id)
left join walks on walks.walk_id = coalesce(run_steps.walk_id, runs.walk_id)
"""

_DELETE_POSTED = """
delete from cost_ledger where (source, thread_id, run_id) in (select (source, thread_id, run_id) from runs_of_slice)
"""

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


def post_touched_runs(connection: Connection, *, stores: bool = True) -> None:
    """Write the costs of those of `touched_runs` that are over; a price that is there already stays.

    What they cost is stored for the views as well, but not where nobody is going to ask (`stores`).
    """
    connection.execute(_POSTED_RUNS)
    drop_stored(connection, "touched_runs")
    for _ in work_out(connection, "posted_runs"):
        connection.execute(_DELETE_POSTED)
        connection.execute(_LEDGER_ROWS)
        if stores:
            store_work(connection)


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
