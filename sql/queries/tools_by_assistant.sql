-- Which assistant uses which tool: calls, runs, failures and cost.
-- units: US dollars rounded to 6 decimals; failure_share from 0 to 1
-- params: limit=50
-- total: calls, failures, cost_usd, carried_cost_usd
-- share: cost_usd
-- reads: tool_call_costs, tool_failures
select
    tool_call_costs.source,
    tool_call_costs.assistant_id,
    tool_call_costs.type,
    tool_call_costs.name,
    round(sum(tool_call_costs.cost_usd), 6) as cost_usd,
    count(*) as calls,
    count(distinct (tool_call_costs.thread_id, tool_call_costs.run_id)) as runs,
    count(tool_failures.reason) as failures,
    round(count(tool_failures.reason) / count(*), 4) as failure_share,
    round(sum(tool_call_costs.carried_cost_usd), 6) as carried_cost_usd
from tool_call_costs
left join tool_failures
    on tool_failures.source = tool_call_costs.source
    and tool_failures.thread_id = tool_call_costs.thread_id
    and tool_failures.run_id = tool_call_costs.run_id
    and tool_failures.step_id = tool_call_costs.step_id
    and tool_failures.call_index = tool_call_costs.call_index
group by tool_call_costs.source, tool_call_costs.assistant_id, tool_call_costs.type, tool_call_costs.name
order by calls desc, tool_call_costs.source, tool_call_costs.assistant_id, tool_call_costs.type, tool_call_costs.name
limit cast($limit as bigint);
