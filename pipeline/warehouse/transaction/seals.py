"""What follows from the rows of a load once they are in: which runs are sealed, how far threads are covered, costs."""

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.duck import Connection
from pipeline.warehouse.ledger import post_touched_runs

# How long a run that says too little is asked for again, where the sync does not say.
SETTLE_S = 86_400
# Sealed: ended now, and had ended in the same way when the last walk to the end of its steps began; and settled by
# then, or asked for again for as long as the sync that walked it would wait.
_SEALS = f"""
create or replace temp table seals as
with step_walks as (
    select walks.source, walks.thread_id, walks.run_id, walks.run_status, walks.run_ended_at, walks.is_settled,
        walks.started_at,
        coalesce(walks.settle_s, {SETTLE_S}) as settle_s,
        min(walks.started_at) filter (where walks.run_status in {TERMINAL_SQL})
            over (partition by walks.source, walks.thread_id, walks.run_id, walks.run_ended_at) as first_started_at
    from walks
    semi join touched_runs using (source, thread_id, run_id)
    where walks.resource = 'steps' and walks.verdict = 'complete'
    qualify row_number() over (
        partition by walks.source, walks.thread_id, walks.run_id
        order by walks.started_at desc, walks.walk_id desc
    ) = 1
)
select runs.source, runs.thread_id, runs.run_id,
    step_walks.run_status in {TERMINAL_SQL}
    and coalesce(step_walks.run_ended_at = coalesce(runs.completed_at, runs.failed_at, runs.cancelled_at), true)
    and (
        coalesce(step_walks.is_settled, true)
        or date_diff('millisecond', step_walks.first_started_at, step_walks.started_at) >= step_walks.settle_s * 1000
    ) as sealed
from runs
join step_walks
    on step_walks.source = runs.source and step_walks.thread_id = runs.thread_id and step_walks.run_id = runs.run_id
where runs.status in {TERMINAL_SQL}
"""
_SEAL = """
update runs set sealed = true
where not sealed
    and (source, thread_id, run_id) in (select (source, thread_id, run_id) from seals where sealed)
"""

_TOUCHED_THREADS = """
create or replace temp table touched_threads as
select source, thread_id, min(seen_at) as seen_at
from (
    select source, thread_id, seen_at from sightings
    union all
    select threads.source, threads.thread_id, threads.first_seen_at
    from threads
    semi join sightings on threads.source = sightings.source and threads.thread_id = sightings.thread_id
) as seen
group by source, thread_id
"""

_THREAD_ROWS = """
create or replace temp table thread_rows as
with touched_walks as (
    select walks.source, walks.thread_id, walks.resource, walks.run_id, walks.verdict, walks.error,
        walks.started_at, walks.ended_at
    from walks
    semi join touched_threads using (source, thread_id)
    qualify row_number() over (
        partition by walks.source, walks.thread_id, walks.resource, walks.run_id
        order by walks.verdict <> 'imported' desc, walks.started_at desc, walks.walk_id desc
    ) = 1
),
listings as (
    select source, thread_id, verdict, error, ended_at from touched_walks
    where resource = 'runs' and verdict <> 'imported'
),
imports as (select distinct source, thread_id, true as is_imported from touched_walks where verdict = 'imported'),
step_walks as (
    select source, thread_id, max(error) filter (where verdict <> 'complete') as error,
        count(*) filter (where verdict <> 'complete') as failed
    from touched_walks where resource = 'steps' and verdict <> 'imported'
    group by source, thread_id
),
run_counts as (
    select runs.source, runs.thread_id, count(*) as runs,
        count(*) filter (where walked.run_id is null) as unwalked
    from runs
    semi join touched_threads using (source, thread_id)
    left join (
        select distinct source, thread_id, run_id from touched_walks where resource = 'steps' and verdict <> 'imported'
    ) as walked on walked.source = runs.source and walked.thread_id = runs.thread_id and walked.run_id = runs.run_id
    group by runs.source, runs.thread_id
)
select touched_threads.source, touched_threads.thread_id,
    case
        when listings.verdict is null then if(coalesce(imports.is_imported, false), 'imported', 'known')
        when listings.verdict = 'missing' then 'missing'
        when listings.verdict <> 'complete' or coalesce(step_walks.failed, 0) > 0 then 'failed'
        when coalesce(run_counts.unwalked, 0) > 0 then 'known'
        else 'synced'
    end as status,
    coalesce(run_counts.runs, 0) as run_count,
    touched_threads.seen_at as first_seen_at,
    listings.ended_at as last_synced_at,
    coalesce(listings.error, step_walks.error) as error
from touched_threads
left join listings using (source, thread_id)
left join imports using (source, thread_id)
left join step_walks using (source, thread_id)
left join run_counts using (source, thread_id)
-- A response that was named by its id, and then told that it is of a conversation, is no thread.
where (touched_threads.source, touched_threads.thread_id) not in (
    select (source, run_id) from runs where protocol = 'responses' and thread_id <> run_id
)
"""

_DELETE_OLD_THREADS = """
delete from threads using thread_rows
where threads.source = thread_rows.source and threads.thread_id = thread_rows.thread_id
"""

_DELETE_NO_THREADS = """
delete from threads
where (source, thread_id) in (
    select (runs.source, runs.run_id) from runs semi join touched_runs using (source, thread_id, run_id)
    where runs.protocol = 'responses' and runs.thread_id <> runs.run_id
)
"""
_INSERT_THREADS = "insert into threads by name select columns(*) from thread_rows"


def settle(connection: Connection, *, stores: bool) -> None:
    """See to all runs and threads that have been touched since `begin_touching`; `stores` their costs for views."""
    connection.execute(_SEALS)
    connection.execute(_SEAL)
    connection.execute(_TOUCHED_THREADS)
    connection.execute(_THREAD_ROWS)
    connection.execute(_DELETE_OLD_THREADS)
    connection.execute(_DELETE_NO_THREADS)
    connection.execute(_INSERT_THREADS)
    post_touched_runs(connection, stores=stores)
