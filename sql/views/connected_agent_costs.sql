-- Calls of connected agents, each beside the run it started and what that run cost.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: US dollars, exact to 12 decimals; created_on is a UTC date
-- reads: tool_call_costs, tool_calls, lone_runs, run_costs
-- A child's tokens are not in the parent's step: call_cost_usd is the parent's own share, child_cost_usd is the child's run,
-- which counts as a run of its own everywhere else. Adding the two here and the runs there would charge it twice. A child
-- run that is not in the warehouse has nulls; calls_of_child says how many calls name the same child run.
create or replace view connected_agent_costs as
with agent_calls as (
    select
        tool_calls.source,
        tool_calls.thread_id,
        tool_calls.run_id,
        tool_calls.step_id,
        tool_calls.call_index,
        coalesce(tool_calls.child_thread_id, lone_runs.thread_id) as child_thread_id,
        tool_calls.child_run_id
    from tool_calls
    left join lone_runs
        on tool_calls.child_thread_id is null
        and lone_runs.source = tool_calls.source
        and lone_runs.run_id = tool_calls.child_run_id
    where
        tool_calls.type = 'connected_agent'
        or tool_calls.child_run_id is not null
        or tool_calls.child_thread_id is not null
)
select
    tool_call_costs.source,
    tool_call_costs.thread_id,
    tool_call_costs.run_id,
    tool_call_costs.step_id,
    tool_call_costs.call_index,
    tool_call_costs.assistant_id,
    tool_call_costs.name,
    tool_call_costs.created_at,
    tool_call_costs.created_on,
    tool_call_costs.cost_usd as call_cost_usd,
    agent_calls.child_thread_id,
    agent_calls.child_run_id,
    case
        when agent_calls.child_run_id is not null
        then count(*) over (partition by agent_calls.source, agent_calls.child_thread_id, agent_calls.child_run_id)
    end as calls_of_child,
    run_costs.run_id is not null as is_child_known,
    run_costs.assistant_id as child_assistant_id,
    run_costs.model as child_model,
    run_costs.status as child_status,
    run_costs.steps as child_steps,
    run_costs.unpriced_steps as child_unpriced_steps,
    run_costs.unpriced_rests as child_unpriced_rests,
    run_costs.total_tokens as child_total_tokens,
    run_costs.cost_usd as child_cost_usd
from agent_calls
inner join tool_call_costs
    on tool_call_costs.source = agent_calls.source
    and tool_call_costs.thread_id = agent_calls.thread_id
    and tool_call_costs.run_id = agent_calls.run_id
    and tool_call_costs.step_id = agent_calls.step_id
    and tool_call_costs.call_index = agent_calls.call_index
left join run_costs
    on run_costs.source = agent_calls.source
    and run_costs.thread_id = agent_calls.child_thread_id
    and run_costs.run_id = agent_calls.child_run_id;
