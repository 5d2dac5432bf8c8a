"""What the warehouse knows of threads that a sync is going to visit."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from pipeline.sqlfiles.duck import Connection, read_frame, register

# An interrupted sync younger than this is gone on with: its lists of runs are not asked for again.
RESUME_WITHIN = timedelta(hours=24)

# Grain: one named thread. after_id, first_index: the sealed beginning of its list, where its last list was complete.
# listed, pending: what an interrupted sync has left of it.
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
    select thread_id, verdict, sync_id in (select sync_id from unfinished) as is_unfinished, started_at
    from walks
    where source = $source and resource = 'runs' and verdict <> 'imported'
        and thread_id in (select thread_id from named_threads)
    qualify row_number() over (partition by thread_id order by started_at desc, walk_id desc) = 1
),
walked as (
    select thread_id, run_id from walks
    where source = $source and resource = 'steps' and verdict = 'complete'
        and sync_id in (select sync_id from unfinished)
),
thread_runs as (
    select thread_id, run_id, status, sealed, run_index,
        (thread_id, run_id) in (select (thread_id, run_id) from walked) as was_walked,
        min(run_index) filter (where not sealed) over (partition by thread_id) as first_open_index,
        -- An archive does not tell where in the server's list its runs are, nor that the server still has them.
        bool_or(not sealed and run_index is null) over (partition by thread_id) as has_unplaced
    from runs
    where source = $source and thread_id in (select thread_id from named_threads)
),
run_states as (
    select thread_id,
        max_by(run_id, run_index) filter (where run_index < coalesce(first_open_index, run_index + 1)) as after_id,
        max(run_index) filter (where run_index < coalesce(first_open_index, run_index + 1)) + 1 as first_index,
        -- Runs before it that no part tells of any more (it was damaged) would never be listed again.
        count(distinct run_index) filter (where run_index < coalesce(first_open_index, run_index + 1))
            < max(run_index) filter (where run_index < coalesce(first_open_index, run_index + 1)) + 1 as has_hole,
        list(run_id order by run_index) filter (where sealed) as sealed_ids,
        bool_or(has_unplaced) as has_unplaced,
        list(run_id order by run_index) filter (where not sealed and not was_walked) as pending_ids,
        list(coalesce(status, '') order by run_index) filter (where not sealed and not was_walked) as pending_statuses
    from thread_runs
    group by thread_id
)
select named_threads.thread_id,
    if(
        listings.verdict = 'complete' and not run_states.has_unplaced and not run_states.has_hole,
        run_states.after_id, null
    ) as after_id,
    if(
        listings.verdict = 'complete' and not run_states.has_unplaced and not run_states.has_hole,
        run_states.first_index, null
    ) as first_index,
    run_states.sealed_ids,
    coalesce(listings.verdict = 'complete' and listings.is_unfinished, false)
        and not coalesce(run_states.has_unplaced, false) as is_listed,
    run_states.pending_ids,
    run_states.pending_statuses
from named_threads
left join listings using (thread_id)
left join run_states using (thread_id)
order by named_threads.position
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
    connection: Connection, thread_ids: Sequence[str], *, source: str, now: datetime
) -> pl.DataFrame:
    """One row for each thread, in the order given: what is sealed of it, and what an interrupted sync has left."""
    named = pl.DataFrame({"thread_id": thread_ids}, schema={"thread_id": pl.String}).with_row_index("position")
    register(connection, "named_threads", named)
    return read_frame(connection, _THREAD_STATES, {"source": source, "resume_after": now - RESUME_WITHIN})
