-- Runs that had not ended when they were last seen, the oldest first.
-- units: instants are UTC; before is a UTC date
-- params: before=9999-12-31, limit=50
-- reads: runs, threads
-- Each sync of their threads asks for them again. Of a thread that is never synced again they stay open here.
select
    runs.source,
    runs.thread_id,
    runs.run_id,
    runs.status,
    runs.model,
    runs.created_at,
    threads.last_synced_at
from runs
left join threads on threads.source = runs.source and threads.thread_id = runs.thread_id
where
    coalesce(runs.status, '') not in ('completed', 'failed', 'cancelled', 'expired', 'incomplete')
    and runs.created_at < cast(cast($before as date) as timestamp) at time zone 'UTC'
order by runs.created_at, runs.source, runs.thread_id, runs.run_id
limit cast($limit as bigint);
