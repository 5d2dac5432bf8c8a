-- Threads by status.
-- grain: source, status
-- units: instants are UTC
-- params: source
-- reads: threads
select
    source,
    status,
    count(*) as threads,
    cast(sum(run_count) as bigint) as runs,
    min(last_synced_at) as oldest_sync_at,
    max(last_synced_at) as newest_sync_at
from threads
where $source is null or source = $source
group by source, status
order by source, threads desc, status;
