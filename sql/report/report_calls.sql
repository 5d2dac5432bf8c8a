-- Tool calls in the scope of a report, with cost, failure and the duration of their step.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: US dollars, exact to 12 decimals; seconds, as the server tells time in whole seconds
-- reads: report_spending, tool_call_costs, tool_failures, run_steps
create temp table report_calls as
select
    tool_call_costs.source,
    tool_call_costs.thread_id,
    tool_call_costs.run_id,
    tool_call_costs.step_id,
    tool_call_costs.call_index,
    tool_call_costs.type,
    tool_call_costs.name,
    tool_failures.reason as failure,
    epoch(coalesce(run_steps.completed_at, run_steps.failed_at, run_steps.expired_at, run_steps.cancelled_at))
    - epoch(run_steps.created_at) as duration_s,
    tool_call_costs.cost_usd
from tool_call_costs
inner join report_spending
    on report_spending.source = tool_call_costs.source
    and report_spending.thread_id = tool_call_costs.thread_id
    and report_spending.run_id = tool_call_costs.run_id
    and report_spending.step_id = tool_call_costs.step_id
    and report_spending.kind = 'step'
left join run_steps
    on run_steps.source = tool_call_costs.source
    and run_steps.thread_id = tool_call_costs.thread_id
    and run_steps.run_id = tool_call_costs.run_id
    and run_steps.step_id = tool_call_costs.step_id
left join tool_failures
    on tool_failures.source = tool_call_costs.source
    and tool_failures.thread_id = tool_call_costs.thread_id
    and tool_failures.run_id = tool_call_costs.run_id
    and tool_failures.step_id = tool_call_costs.step_id
    and tool_failures.call_index = tool_call_costs.call_index;
