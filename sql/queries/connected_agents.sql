-- Connected agents: how often each is called and what its own runs cost.
-- units: US dollars rounded to 6 decimals; a child run that several calls name is counted once
-- total: calls, child_runs, unknown_child_runs, call_cost_usd, child_cost_usd
-- share: child_cost_usd
-- reads: connected_agent_costs
with child_runs as (
    select
        source,
        name,
        child_thread_id,
        child_run_id,
        count(*) as calls,
        sum(call_cost_usd) as call_cost_usd,
        bool_or(is_child_known) as is_child_known,
        max(child_cost_usd) as child_cost_usd
    from connected_agent_costs
    group by source, name, child_thread_id, child_run_id
)
select
    source,
    name,
    cast(sum(calls) as bigint) as calls,
    count(child_run_id) as child_runs,
    count(*) filter (where child_run_id is not null and not is_child_known) as unknown_child_runs,
    round(sum(call_cost_usd), 6) as call_cost_usd,
    round(sum(child_cost_usd), 6) as child_cost_usd
from child_runs
group by source, name
order by child_cost_usd desc nulls last, source, name;
