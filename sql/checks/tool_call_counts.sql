-- Steps whose own count of tool calls is not the number of calls in the warehouse.
-- severity: warn
-- reads: run_steps, tool_calls
with call_counts as (
    select source, thread_id, run_id, step_id, count(*) as calls
    from tool_calls
    group by source, thread_id, run_id, step_id
)
select
    run_steps.source,
    run_steps.thread_id,
    run_steps.run_id,
    run_steps.step_id,
    run_steps.tool_call_count,
    coalesce(call_counts.calls, 0) as calls
from run_steps
left join call_counts
    on call_counts.source = run_steps.source
    and call_counts.thread_id = run_steps.thread_id
    and call_counts.run_id = run_steps.run_id
    and call_counts.step_id = run_steps.step_id
where run_steps.tool_call_count <> coalesce(call_counts.calls, 0)
order by run_steps.source, run_steps.thread_id, run_steps.run_id, run_steps.step_id;
