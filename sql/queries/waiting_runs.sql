-- Runs that wait for tool outputs, the longest waiting first.
-- units: US dollars rounded to 6 decimals; instants are UTC
-- params: limit=20
-- reads: waiting_runs
select
    source,
    thread_id,
    run_id,
    assistant_id,
    created_at,
    expires_at,
    observed_at,
    waiting_calls,
    array_to_string(waiting_names, ', ') as waiting_names,
    round(cost_usd, 6) as cost_usd
from waiting_runs
order by created_at, source, thread_id, run_id
limit cast($limit as bigint);
