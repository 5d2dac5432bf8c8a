-- How far threads are covered: threads by status.
-- units: instants are UTC
-- total: threads, runs
-- share: threads
-- reads: threads
select
    source,
    status,
    count(*) as threads,
    cast(sum(run_count) as bigint) as runs,
    min(last_synced_at) as oldest_sync_at,
    max(last_synced_at) as newest_sync_at
from threads
group by source, status
order by source, status;
