-- Tool calls that repeat an earlier call of the same run: same tool, same arguments, text for text.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: US dollars, exact to 12 decimals; repetition counts from 1 for the second call; created_on is a UTC date
-- reads: tool_calls, run_steps, tool_call_costs
-- Calls without arguments (file search, retrieval) cannot be compared and are left out.
create or replace view repeated_tool_calls as
with ordered_calls as (
    select
        tool_calls.source,
        tool_calls.thread_id,
        tool_calls.run_id,
        tool_calls.step_id,
        tool_calls.call_index,
        tool_calls.arguments,
        row_number() over same_calls - 1 as repetition,
        first_value(tool_calls.step_id) over same_calls as first_step_id,
        first_value(tool_calls.call_index) over same_calls as first_call_index
    from tool_calls
    left join run_steps
        on run_steps.source = tool_calls.source
        and run_steps.thread_id = tool_calls.thread_id
        and run_steps.run_id = tool_calls.run_id
        and run_steps.step_id = tool_calls.step_id
    where tool_calls.arguments is not null
    window same_calls as (
        partition by
            tool_calls.source,
            tool_calls.thread_id,
            tool_calls.run_id,
            tool_calls.type,
            tool_calls.name,
            tool_calls.server_label,
            tool_calls.arguments
        order by run_steps.step_index, tool_calls.step_id, tool_calls.call_index
    )
)
select
    ordered_calls.source,
    ordered_calls.thread_id,
    ordered_calls.run_id,
    ordered_calls.step_id,
    ordered_calls.call_index,
    tool_call_costs.assistant_id,
    tool_call_costs.type,
    tool_call_costs.name,
    ordered_calls.arguments,
    tool_call_costs.created_at,
    tool_call_costs.created_on,
    ordered_calls.repetition,
    ordered_calls.first_step_id,
    ordered_calls.first_call_index,
    tool_call_costs.cost_usd
from ordered_calls
inner join tool_call_costs
    on tool_call_costs.source = ordered_calls.source
    and tool_call_costs.thread_id = ordered_calls.thread_id
    and tool_call_costs.run_id = ordered_calls.run_id
    and tool_call_costs.step_id = ordered_calls.step_id
    and tool_call_costs.call_index = ordered_calls.call_index
where ordered_calls.repetition > 0;
