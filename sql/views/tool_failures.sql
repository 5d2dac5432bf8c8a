-- Tool calls that failed, each with the reason.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: instants are UTC; created_on is a UTC date
-- reads: tool_call_costs, tool_calls, run_steps, runs
-- reason: step_failed, step_expired, traceback (code interpreter logs), error_output (the output is a JSON object with a
-- filled `error`), unanswered (a function, or an mcp call that waited for approval, whose run
-- ended badly before its output came), call_failed (the call of a response or a turn says so itself: its status is failed or
-- incomplete, or it has an error). Of these neither their run's failure nor a missing output tells anything of a call: the
-- output of a function is an item of a later response. A step that somebody cancelled
-- is no failure of its tool. An output that is hidden (content = "hashed") says itself that it was one of these.
create or replace view tool_failures as
select
    tool_call_costs.source,
    tool_call_costs.thread_id,
    tool_call_costs.run_id,
    tool_call_costs.step_id,
    tool_call_costs.call_index,
    tool_call_costs.tool_call_id,
    coalesce(runs.assistant_id, run_steps.assistant_id) as assistant_id,
    tool_call_costs.type,
    tool_call_costs.name,
    run_steps.created_at,
    tool_call_costs.created_on,
    tool_call_costs.failure as reason,
    run_steps.status as step_status,
    runs.status as run_status,
    -- The run's error is the step's only where the step itself came to a bad end.
    case
        when reason in ('step_failed', 'step_expired', 'unanswered')
        then coalesce(run_steps.last_error_code, runs.last_error_code)
    end as error_code,
    case
        when reason = 'call_failed' then tool_calls.error
        when reason = 'error_output' then json_extract_string(try_cast(tool_calls.output as json), '$.error')
        when reason in ('step_failed', 'step_expired', 'unanswered')
        then coalesce(run_steps.last_error_message, runs.last_error_message)
    end as error_message,
    tool_calls.arguments,
    tool_calls.output
from tool_call_costs
inner join tool_calls
    on tool_calls.source = tool_call_costs.source
    and tool_calls.thread_id = tool_call_costs.thread_id
    and tool_calls.run_id = tool_call_costs.run_id
    and tool_calls.step_id = tool_call_costs.step_id
    and tool_calls.call_index = tool_call_costs.call_index
left join run_steps
    on run_steps.source = tool_call_costs.source
    and run_steps.thread_id = tool_call_costs.thread_id
    and run_steps.run_id = tool_call_costs.run_id
    and run_steps.step_id = tool_call_costs.step_id
left join runs
    on runs.source = tool_call_costs.source
    and runs.thread_id = tool_call_costs.thread_id
    and runs.run_id = tool_call_costs.run_id
where tool_call_costs.failure is not null;
