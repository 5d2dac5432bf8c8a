-- Runs that are in more than one source, such as an archive beside what was synced: totals over all sources count them again.
-- severity: warn
-- sum: doubled_usd
-- reads: run_costs
-- The same run has one thread, one id and one instant: servers that number theirs may have the ids in common, not all three.
-- doubled_usd is what is counted more than once.
select
    thread_id,
    run_id,
    array_to_string(list(source order by source), ', ') as sources,
    sum(cost_usd) - max(cost_usd) as doubled_usd
from run_costs
where created_at is not null
group by thread_id, run_id, created_at
having count(*) > 1
order by doubled_usd desc nulls last, thread_id, run_id;
