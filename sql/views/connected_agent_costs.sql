-- Calls of connected agents, each beside the run it started and what that run cost.
-- grain: source, step_id, call_index
-- units: US dollars, exact to 12 decimals
-- reads: tool_call_costs, tool_calls, run_costs
-- A child's tokens are not in the parent's step: call_cost_usd is the parent's own share, child_cost_usd is the child's run,
-- which counts as a run of its own everywhere else. Adding the two here and the runs there would charge it twice. A child
-- run that is not in the warehouse has nulls; calls_of_child says how many calls name the same child run.
create or replace view connected_agent_costs as
with agent_calls as (
    select source, step_id, call_index, child_thread_id, child_run_id
    from tool_calls
    where type = 'connected_agent' or child_run_id is not null or child_thread_id is not null
),
child_calls as (
    select source, child_run_id, count(*) as calls_of_child
    from agent_calls
    where child_run_id is not null
    group by source, child_run_id
)
select
    tool_call_costs.source,
    tool_call_costs.step_id,
    tool_call_costs.call_index,
    tool_call_costs.run_id,
    tool_call_costs.thread_id,
    tool_call_costs.assistant_id,
    tool_call_costs.name,
    tool_call_costs.created_at,
    tool_call_costs.cost_usd as call_cost_usd,
    agent_calls.child_thread_id,
    agent_calls.child_run_id,
    child_calls.calls_of_child,
    run_costs.run_id is not null as is_child_known,
    run_costs.assistant_id as child_assistant_id,
    run_costs.model as child_model,
    run_costs.status as child_status,
    run_costs.steps as child_steps,
    run_costs.unpriced_steps as child_unpriced_steps,
    run_costs.total_tokens as child_total_tokens,
    run_costs.cost_usd as child_cost_usd
from agent_calls
inner join tool_call_costs
    on tool_call_costs.source = agent_calls.source
    and tool_call_costs.step_id = agent_calls.step_id
    and tool_call_costs.call_index = agent_calls.call_index
left join child_calls
    on child_calls.source = agent_calls.source and child_calls.child_run_id = agent_calls.child_run_id
left join run_costs on run_costs.source = agent_calls.source and run_costs.run_id = agent_calls.child_run_id;
