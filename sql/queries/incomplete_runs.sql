-- Runs whose steps are not proven complete, with the reason.
-- units: tokens; the difference is the run's minus the sum of its steps'
-- params: limit=50
-- reads: completeness
select
    source,
    thread_id,
    run_id,
    state,
    status,
    sealed,
    steps,
    walk_verdict,
    total_tokens_difference
from completeness
where state <> 'complete'
order by state, source, thread_id, run_id
limit cast($limit as bigint);
