-- Steps whose own count of tool calls is not the number of calls in the warehouse.
-- severity: warn
-- reads: run_steps, tool_calls
with call_counts as (
    select source, step_id, count(*) as calls
    from tool_calls
    group by source, step_id
)
select
    run_steps.source,
    run_steps.step_id,
    run_steps.run_id,
    run_steps.tool_call_count,
    coalesce(call_counts.calls, 0) as calls
from run_steps
left join call_counts on call_counts.source = run_steps.source and call_counts.step_id = run_steps.step_id
where run_steps.tool_call_count <> coalesce(call_counts.calls, 0)
order by run_steps.source, run_steps.step_id;
