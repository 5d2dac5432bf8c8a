"""The ledger: costs of sealed and of archived runs, written once at the price that held when they were loaded."""

from pathlib import Path

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.duck import Connection, attached, has_rows, read_frame
from pipeline.warehouse.stored_costs import drop_stored, store_work, work_out, work_out_again

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

# What the ledger has keeps its price, all else gets the price of today's book.
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

# Runs of the ledger of which a step or rest is told that it does not have: of tokens that it may have elsewhere.
_RETOLD_RUNS = """
create or replace temp table retold_runs as
select distinct source, thread_id, run_id from costs_at_work
where not is_posted and (source, thread_id, run_id) in (select (source, thread_id, run_id) from cost_ledger)
"""

# Those of a price that is not in today's book: none for requests of any size; where they had no price, one that the
# whole run could have.
_OTHERWISE_PRICED = """
create or replace temp table otherwise_priced as
with named_runs as (
    select source, thread_id, run_id, any_value(model) as model, any_value(tier) as tier
    from costs_at_work semi join retold_runs using (source, thread_id, run_id)
    group by all
),
posted as (
    select cost_ledger.source, cost_ledger.thread_id, cost_ledger.run_id, cost_ledger.price_id,
        {'match': cost_ledger.match, 'priced_model': cost_ledger.priced_model,
            'input': cost_ledger.input_usd_per_mtok, 'cached': cost_ledger.cached_input_usd_per_mtok,
            'write': cost_ledger.cache_write_usd_per_mtok, 'output': cost_ledger.output_usd_per_mtok,
            'discount': cost_ledger.discount} as price,
        named_runs.model, named_runs.tier,
        coalesce(costs_at_work.created_on, cast(runs.created_at at time zone 'UTC' as date)) as created_on,
        coalesce(runs.prompt_tokens, costs_at_work.prompt_tokens, 0) as prompt_tokens
    from cost_ledger
    inner join named_runs using (source, thread_id, run_id)
    left join costs_at_work using (source, thread_id, run_id, step_id)
    left join runs on runs.source = cost_ledger.source and runs.thread_id = cost_ledger.thread_id
        and runs.run_id = cost_ledger.run_id
)
select posted.source, posted.thread_id, posted.run_id
from posted
left join price_periods_of('named_runs') as price_periods
    on price_periods.source = posted.source
    and price_periods.model = posted.model
    and price_periods.tier = posted.tier
    and price_periods.valid_from <= posted.created_on
    and posted.created_on < coalesce(price_periods.valid_to, 'infinity'::date)
    and case
        when posted.price_id is null
        then posted.prompt_tokens >= price_periods.min_input_tokens
            and posted.prompt_tokens < coalesce(price_periods.below_input_tokens, 9223372036854775807)
        else price_periods.price_id = posted.price_id
            and {'match': price_periods.match, 'priced_model': price_periods.priced_model,
                'input': price_periods.list_input_usd_per_mtok, 'cached': price_periods.list_cached_input_usd_per_mtok,
                'write': price_periods.list_cache_write_usd_per_mtok,
                'output': price_periods.list_output_usd_per_mtok,
                'discount': price_periods.discount} is not distinct from posted.price
    end
group by posted.source, posted.thread_id, posted.run_id
having bool_or((posted.price_id is null) <> (price_periods.price_id is null))
"""

# What such a run has that is new costs what the run did: its rest if the ledger has one, else its first step.
_KEEP_PRICES = """
insert into cost_ledger by name
select new_rows.source, new_rows.thread_id, new_rows.run_id, new_rows.step_id,
    columns(kept.* exclude (source, thread_id, run_id, step_id))
from costs_at_work as new_rows
inner join (
    select columns(*) from cost_ledger
    semi join otherwise_priced using (source, thread_id, run_id)
    qualify row_number() over (partition by source, thread_id, run_id order by step_id) = 1
) as kept using (source, thread_id, run_id)
where not new_rows.is_posted
"""

# All others are priced anew: a step may be of another size or day than the rest that its tokens were in.
_FORGET_PRICES = """
delete from cost_ledger
where (source, thread_id, run_id) in (select (source, thread_id, run_id) from retold_runs)
    and (source, thread_id, run_id) not in (select (source, thread_id, run_id) from otherwise_priced)
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
    """Write the costs of those of `touched_runs` that are over; a run that has a price already keeps it.

    What they cost is stored for the views as well, but not where nobody is going to ask (`stores`).
    """
    connection.execute(_POSTED_RUNS)
    drop_stored(connection, "touched_runs")
    for _ in work_out(connection, "posted_runs"):
        connection.execute(_RETOLD_RUNS)
        if has_rows(connection, "retold_runs"):
            connection.execute(_OTHERWISE_PRICED)
            connection.execute(_KEEP_PRICES)
            connection.execute(_FORGET_PRICES)
            work_out_again(connection)
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
