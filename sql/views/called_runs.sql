-- The runs that calls of connected agents started.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: call_index from 0
-- reads: tool_calls, runs
-- A call that names a run without its thread means the only run of that name, if there is but one.
create or replace view called_runs as
with lone_runs as (
    select source, run_id, min(thread_id) as thread_id
    from runs
    group by source, run_id
    having count(*) = 1
)
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
where tool_calls.child_run_id is not null;
