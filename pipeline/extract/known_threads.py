"""What the warehouse knows of threads that a sync is going to visit."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from pipeline.protocol.pages import Protocol
from pipeline.sqlfiles.duck import Connection, read_frame, register

# An interrupted sync younger than this is gone on with: its lists of runs are not asked for again.
RESUME_WITHIN = timedelta(hours=24)

# Grain: one named thread. after_id, first_index, last_id: where its list is asked for from, and what it has to begin
# with: the sealed beginning of the list, where its last list was complete and all its lists were seen to ascend.
# listed, pending: what an interrupted sync has left of it. told_ids: its runs that archives and calls of connected
# agents name, unless its last list was complete and had none: then somebody has asked for all of it once more.
_THREAD_STATES = """
with unfinished as (
    select sync_id from syncs
    where source = $source and coalesce(verdict, 'interrupted') = 'interrupted' and started_at > $resume_after
        and started_at > coalesce(
            (select max(started_at) from syncs where source = $source and verdict not in ('interrupted', 'imported')),
            '-infinity'
        )
),
listings as (
    select thread_id, verdict, sync_id in (select sync_id from unfinished) as is_unfinished, started_at,
        -- A list that broke off says nothing of what was there.
        coalesce(
            first_value(case when verdict = 'complete' then first_index + items end ignore nulls) over newest,
            first_index + items
        ) as run_count,
        first_value(item_order ignore nulls) over newest as item_order
    from walks
    where source = $source and resource = 'runs' and verdict <> 'imported'
        and thread_id in (select thread_id from named_threads)
    window newest as (
        partition by thread_id order by started_at desc, walk_id desc
        rows between unbounded preceding and unbounded following
    )
    qualify row_number() over (partition by thread_id order by started_at desc, walk_id desc) = 1
),
walked as (
    select thread_id, run_id from walks
    where source = $source and resource = 'steps' and verdict = 'complete'
        and sync_id in (select sync_id from unfinished)
),
thread_runs as (
    select runs.thread_id, runs.run_id, runs.sealed, runs.run_index,
        -- Runs that are gone from the server keep the place that they had, which others may have now.
        coalesce(runs.run_index < listings.run_count, false) and row_number() over (
            partition by runs.thread_id, runs.run_index order by runs.observed_at desc, runs.run_id
        ) = 1 as is_placed,
        {
            'run_id': runs.run_id,
            'status': runs.status,
            'ended_at': coalesce(runs.completed_at, runs.failed_at, runs.cancelled_at),
            'prompt_tokens': runs.prompt_tokens,
            'completion_tokens': runs.completion_tokens,
            'total_tokens': coalesce(
                runs.total_tokens, try_cast(cast(runs.prompt_tokens as hugeint) + runs.completion_tokens as bigint)
            )
        } as run,
        (runs.thread_id, runs.run_id) in (select (thread_id, run_id) from walked) as was_walked
    from runs
    left join listings using (thread_id)
    where runs.source = $source and runs.thread_id in (select thread_id from named_threads)
),
-- The sealed beginning: the runs before the first that is not sealed.
beginnings as (
    select thread_id, run_id, run_index
    from thread_runs
    where is_placed
    qualify bool_and(sealed) over (partition by thread_id order by run_index)
),
shortcuts as (
    select thread_id,
        max_by(run_id, run_index) as last_id,
        max(run_index) as last_index,
        -- Runs before it that no part tells of any more (it was damaged) would never be listed again.
        count(*) < max(run_index) + 1 as has_hole,
        arg_max(run_id, run_index, 2)[2] as after_id
    from beginnings
    group by thread_id
),
run_states as (
    select thread_id,
        -- An archive does not tell where in the server's list its runs are, nor that the server still has them.
        bool_or(not sealed and run_index is null) as has_unplaced,
        list(run order by run_index) filter (where sealed) as sealed_runs,
        list(run_id) filter (where is_placed) as listed_ids,
        list(run order by run_index) filter (where not sealed and not was_walked) as pending_runs
    from thread_runs
    group by thread_id
),
told as (
    select thread_id, list(distinct run_id) as run_ids
    from (
        select thread_id, run_id from thread_runs where coalesce(run_index, -1) < 0
        union all
        select child_thread_id, child_run_id
        from tool_calls
        where source = $source and child_run_id is not null
            and child_thread_id in (select thread_id from named_threads)
    ) as named_elsewhere
    where thread_id not in (select thread_id from listings where verdict = 'complete' and run_count = 0)
    group by thread_id
),
trusted as (
    select listings.thread_id
    from listings
    join run_states using (thread_id)
    join shortcuts using (thread_id)
    where listings.verdict = 'complete' and listings.item_order = 'asc'
        and not run_states.has_unplaced and not shortcuts.has_hole
)
select named_threads.thread_id,
    shortcuts.after_id,
    if(shortcuts.after_id is null, null, shortcuts.last_index) as first_index,
    if(shortcuts.after_id is null, null, shortcuts.last_id) as last_id,
    run_states.sealed_runs,
    run_states.listed_ids,
    told.run_ids as told_ids,
    coalesce(listings.verdict = 'complete' and listings.is_unfinished, false)
        and not coalesce(run_states.has_unplaced, false) as is_listed,
    run_states.pending_runs
from named_threads
left join listings using (thread_id)
left join run_states using (thread_id)
left join told using (thread_id)
left join trusted using (thread_id)
left join shortcuts on shortcuts.thread_id = trusted.thread_id
order by named_threads.position
"""


# Grain: one named session. whole_at: when its last visit began, if that was complete and all of its turns are sealed.
# settling_runs: turns that ended and whose items are all here, while their usage may change.
_SESSION_STATES = """
with visits as (
    select thread_id, verdict, started_at from walks
    where source = $source and resource = 'runs' and verdict <> 'imported'
        and thread_id in (select thread_id from named_threads)
    qualify row_number() over (partition by thread_id order by started_at desc, walk_id desc) = 1
),
turns as (
    select runs.thread_id, runs.sealed,
        {
            'run_id': runs.run_id,
            'status': runs.status,
            'ended_at': coalesce(runs.completed_at, runs.failed_at, runs.cancelled_at),
            'prompt_tokens': runs.prompt_tokens,
            'completion_tokens': runs.completion_tokens,
            'total_tokens': runs.total_tokens
        } as run,
        (runs.thread_id, runs.run_id) in (
            select (thread_id, run_id) from walks
            where source = $source and resource = 'steps' and verdict = 'complete'
        ) as was_walked
    from runs
    where runs.source = $source and runs.thread_id in (select thread_id from named_threads)
)
select named_threads.thread_id,
    case when visits.verdict = 'complete' and not coalesce(bool_or(not turns.sealed), false) then visits.started_at
    end as whole_at,
    list(turns.run) filter (where not turns.sealed and turns.was_walked) as settling_runs
from named_threads
left join visits using (thread_id)
left join turns using (thread_id)
group by named_threads.thread_id, visits.verdict, visits.started_at
"""

# Grain: one response that was named by its id: whether it is sealed, and the response that goes on from it.
_RESPONSE_STATES = """
select named_threads.thread_id, coalesce(bool_or(runs.sealed), false) as is_whole, min(later.run_id) as next_id
from named_threads
left join runs on runs.source = $source and runs.run_id = named_threads.thread_id and runs.protocol = 'responses'
left join runs as later on later.source = $source and later.previous_run_id = named_threads.thread_id
group by named_threads.thread_id
"""


# The last instant that any record of a source has; a clock that was ahead may have written it.
_LAST_INSTANT = """
select max(moment) as moment from (
    select greatest(max(started_at), max(ended_at)) as moment from walks where source = $source
    union all
    select greatest(max(started_at), max(finished_at)) from syncs where source = $source
) as moments
"""


def read_last_instant(connection: Connection, source: str) -> datetime | None:
    """The latest instant on record for a source: what is recorded from now on has to come after it."""
    moment: datetime | None = read_frame(connection, _LAST_INSTANT, {"source": source}).item()
    return moment


def read_thread_states(
    connection: Connection,
    thread_ids: Sequence[str],
    *,
    source: str,
    now: datetime,
    protocol: Protocol = "assistants",
) -> pl.DataFrame:
    """One row for each thread, in the order given: what is sealed of it, and what an interrupted sync has left.

    A response that was named by its id, and is sealed, is one that was listed and has nothing left.
    """
    named = pl.DataFrame({"thread_id": thread_ids}, schema={"thread_id": pl.String}).with_row_index("position")
    register(connection, "named_threads", named)
    states = read_frame(connection, _THREAD_STATES, {"source": source, "resume_after": now - RESUME_WITHIN})
    if protocol == "agents":
        more = read_frame(connection, _SESSION_STATES, {"source": source})
        return states.join(more, on="thread_id", how="left", maintain_order="left")
    if protocol == "responses":
        more = read_frame(connection, _RESPONSE_STATES, {"source": source})
        joined = states.join(more, on="thread_id", how="left", maintain_order="left")
        is_whole = pl.col("is_whole").fill_null(False)
        nothing = pl.lit(None, dtype=states.schema["pending_runs"])
        return joined.with_columns(
            is_listed=pl.col("is_listed") | is_whole,
            pending_runs=pl.when(is_whole).then(nothing).otherwise(pl.col("pending_runs")),
        ).drop("is_whole")
    return states
