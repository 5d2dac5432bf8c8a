-- Tool calls of runs whose costs are worked out where they are asked for, as they are not stored: open runs, and what no load has seen to.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: as in tool_calls, whose columns these are
-- reads: tool_calls, stored_runs
-- Which these are is found by their ids alone: texts of stored runs are not read.
create or replace view unstored_calls as
with unstored as (
    select distinct tool_calls.source, tool_calls.thread_id, tool_calls.run_id
    from tool_calls
    anti join stored_runs
        on stored_runs.source = tool_calls.source
        and stored_runs.thread_id = tool_calls.thread_id
        and stored_runs.run_id = tool_calls.run_id
)
select columns(tool_calls.*)
from tool_calls
semi join unstored
    on unstored.source = tool_calls.source
    and unstored.thread_id = tool_calls.thread_id
    and unstored.run_id = tool_calls.run_id;
