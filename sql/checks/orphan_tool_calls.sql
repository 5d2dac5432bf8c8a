-- Tool calls whose step is not in the warehouse.
-- severity: fail
-- reads: tool_calls, run_steps
select
    tool_calls.source,
    tool_calls.thread_id,
    tool_calls.run_id,
    tool_calls.step_id,
    tool_calls.call_index,
    tool_calls.tool_call_id
from tool_calls
anti join run_steps
    on run_steps.source = tool_calls.source
    and run_steps.thread_id = tool_calls.thread_id
    and run_steps.run_id = tool_calls.run_id
    and run_steps.step_id = tool_calls.step_id
order by tool_calls.source, tool_calls.thread_id, tool_calls.run_id, tool_calls.step_id, tool_calls.call_index;
