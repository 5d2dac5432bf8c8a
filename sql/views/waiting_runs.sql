-- Runs that waited for tool outputs when they were last seen.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals; instants are UTC
-- reads: runs, run_costs, tool_calls
-- waiting_calls are the function calls that have no output yet, waiting_names their names in order of the alphabet.
create or replace view waiting_runs as
with waiting_calls as (
    select
        source,
        thread_id,
        run_id,
        count(*) as calls,
        list_sort(list(distinct name) filter (where name is not null)) as names
    from tool_calls
    where type = 'function' and output is null
    group by source, thread_id, run_id
)
select
    runs.source,
    runs.thread_id,
    runs.run_id,
    runs.assistant_id,
    runs.model,
    runs.created_at,
    runs.expires_at,
    runs.observed_at,
    coalesce(waiting_calls.calls, 0) as waiting_calls,
    waiting_calls.names as waiting_names,
    run_costs.steps,
    run_costs.unpriced_steps,
    run_costs.total_tokens,
    run_costs.cost_usd
from runs
inner join run_costs
    on run_costs.source = runs.source
    and run_costs.thread_id = runs.thread_id
    and run_costs.run_id = runs.run_id
left join waiting_calls
    on waiting_calls.source = runs.source
    and waiting_calls.thread_id = runs.thread_id
    and waiting_calls.run_id = runs.run_id
where runs.status = 'requires_action';
