"""The statements of a load in their order, inside its transaction: frames named `new_TABLE` into the tables."""

from pipeline.bill_merging import load_bills
from pipeline.catalog import read_sql_files
from pipeline.duck import Connection
from pipeline.ledger import post_sealed_runs
from pipeline.merging import delete_outranked_rejects, merge_imported_steps
from pipeline.wire import TERMINAL_SQL

_CHILD_TABLES = ("tool_calls", "code_interpreter_outputs", "file_search_results")

# The best steps walk of each run that the batch has walked, and whether it is one of the batch's. One that began when
# the run was over has all its steps: it outranks those before, whatever a clock said that was set back since.
_BEST_WALKS = f"""
create or replace temp table best_walks as
select walks.source, walks.run_id, walks.walk_id,
    walks.verdict, walks.walk_id in (select walk_id from new_walks) as is_new
from walks
semi join (select source, run_id from new_walks where resource = 'steps') as touched
    on walks.source = touched.source and walks.run_id = touched.run_id
where walks.resource = 'steps' and walks.verdict <> 'imported' and (walks.verdict = 'complete' or walks.items > 0)
qualify row_number() over (
    partition by walks.source, walks.run_id
    order by walks.verdict = 'complete' desc, coalesce(walks.run_status in {TERMINAL_SQL}, false) desc,
        walks.started_at desc, walks.walk_id desc
) = 1
"""

_DELETE_REPLACED = """
delete from {table} where (source, run_id) in (select (source, run_id) from best_walks where is_new)
    and (source, run_id) not in (select (source, run_id) from merged_runs)
"""

_DELETE_REJECTS = """
delete from rejects where resource = 'steps'
    and (source, run_id) in (select (source, run_id) from best_walks)
    and walk_id not in (select walk_id from best_walks)
    and walk_id not in (select walk_id from walks where verdict = 'imported')
"""

# The newest observation of each run, if newer than the warehouse's; a terminal one is never replaced by an open one.
_BEST_RUNS = f"""
create or replace temp table best_runs as
select columns(*) from new_runs
qualify row_number() over (
    partition by source, run_id
    order by coalesce(status in {TERMINAL_SQL}, false) desc, observed_at desc, walk_id desc
) = 1
"""

_DELETE_OUTRANKED = f"""
delete from best_runs using runs
where runs.source = best_runs.source and runs.run_id = best_runs.run_id
    and (coalesce(runs.status in {TERMINAL_SQL}, false), runs.observed_at, runs.walk_id)
        >= (coalesce(best_runs.status in {TERMINAL_SQL}, false), best_runs.observed_at, best_runs.walk_id)
"""

_DELETE_OLD_RUNS = """
delete from runs using best_runs where runs.source = best_runs.source and runs.run_id = best_runs.run_id
"""

# Sealed: terminal now, and terminal when a walk to the end of its steps began.
_SEAL = f"""
update runs set sealed = true
where not sealed and status in {TERMINAL_SQL}
    and ((source, run_id) in (select (source, run_id) from best_walks)
        or (source, run_id) in (select (source, run_id) from best_runs))
    and (source, run_id) in (
        select (source, run_id) from walks
        where resource = 'steps' and verdict = 'complete' and run_status in {TERMINAL_SQL}
    )
"""

_TOUCHED_THREADS = """
create or replace temp table touched_threads as
select source, thread_id, min(seen_at) as seen_at
from (
    select source, thread_id, started_at as seen_at from new_walks
    union all
    select source, thread_id, seen_at from new_plans
    union all
    select threads.source, threads.thread_id, threads.first_seen_at
    from threads
    semi join (
        select source, thread_id from new_walks union all select source, thread_id from new_plans
    ) as named on threads.source = named.source and threads.thread_id = named.thread_id
) as sightings
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
        select distinct source, run_id from touched_walks where resource = 'steps' and verdict <> 'imported'
    ) as walked on walked.source = runs.source and walked.run_id = runs.run_id
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
"""

_DELETE_OLD_THREADS = """
delete from threads using thread_rows
where threads.source = thread_rows.source and threads.thread_id = thread_rows.thread_id
"""

_DELETE_OPENED_SYNCS = """
delete from syncs where finished_at is null and sync_id in (select sync_id from new_syncs)
"""

_NEW_SYNCS = """
select columns(*) from new_syncs
where sync_id not in (select sync_id from syncs)
qualify row_number() over (partition by sync_id order by finished_at desc nulls last) = 1
"""


def load_frames(connection: Connection) -> None:
    """Put the registered frames into the tables: by owner deleted and inserted, newest and most complete first."""
    connection.execute(_insert("walks", "new_walks"))
    connection.execute(_BEST_WALKS)
    merge_imported_steps(connection, insert=_insert)
    chosen = (
        "walk_id in (select walk_id from best_walks where is_new)"
        " and (source, run_id) not in (select (source, run_id) from merged_runs)"
    )
    for table in ("run_steps", *_CHILD_TABLES):
        connection.execute(_DELETE_REPLACED.format(table=table))
        connection.execute(_insert(table, f"new_{table}", where=chosen))
    connection.execute(_insert("rejects", "new_rejects"))
    connection.execute(_DELETE_REJECTS)
    connection.execute(_BEST_RUNS)
    connection.execute(_DELETE_OUTRANKED)
    connection.execute(_DELETE_OLD_RUNS)
    connection.execute(_insert("runs", "best_runs", sealed="false"))
    delete_outranked_rejects(connection)
    connection.execute(_SEAL)
    connection.execute(_TOUCHED_THREADS)
    connection.execute(_THREAD_ROWS)
    connection.execute(_DELETE_OLD_THREADS)
    connection.execute(_insert("threads", "thread_rows"))
    connection.execute(_DELETE_OPENED_SYNCS)
    connection.execute(_insert("syncs", f"({_NEW_SYNCS})"))
    load_bills(connection)
    # After `syncs`: they say what the names of deployments stand for.
    post_sealed_runs(connection)
    connection.execute(_insert("loaded_parts", "new_loaded_parts"))


def _insert(table: str, source: str, *, where: str = "true", **values: str) -> str:
    """Insert by declared columns. JSON that DuckDB's stricter parser refuses is kept as a JSON string of its text."""
    columns = read_sql_files("tables")[table].columns
    expressions = [
        values.get(name) or (f"coalesce(try_cast({name} as json), to_json({name}))" if sql == "json" else name)
        for name, sql in columns.items()
    ]
    return f"insert into {table} ({', '.join(columns)}) select {', '.join(expressions)} from {source} where {where}"
