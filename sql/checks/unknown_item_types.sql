-- Items of responses and turns of a type that nobody knows: each is a call that keeps all it has in its payload.
-- severity: warn
-- reads: tool_calls, run_steps
select tool_calls.source, tool_calls.type, count(*) as items, min(tool_calls.run_id) as found_in
from tool_calls
inner join run_steps
    on run_steps.source = tool_calls.source
    and run_steps.thread_id = tool_calls.thread_id
    and run_steps.run_id = tool_calls.run_id
    and run_steps.step_id = tool_calls.step_id
where
    run_steps.type in ('response', 'turn')
    and contains(cast(tool_calls.payload as varchar), '"type":')
    and json_extract_string(tool_calls.payload, '$.type') = tool_calls.type
group by tool_calls.source, tool_calls.type
order by items desc, tool_calls.source, tool_calls.type;
