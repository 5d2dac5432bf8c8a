-- Tool calls that failed, each with the reason.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: instants are UTC
-- reads: tool_calls, run_steps, runs
-- reason: step_failed, step_expired, traceback (code interpreter logs), error_output (the output is a JSON object with a
-- filled `error`), unanswered (a function, or an mcp call that waited for approval, whose run
-- ended badly before its output came), call_failed (the call of a response or a turn says so itself: its status is failed or
-- incomplete, or it has an error). Of these neither their run's failure nor a missing output tells anything of a call: the
-- output of a function is an item of a later response. A step that somebody cancelled
-- is no failure of its tool. An output that is hidden (content = "hashed") says itself that it was one of these.
create or replace view tool_failures as
with calls as (
    select
        tool_calls.source,
        tool_calls.thread_id,
        tool_calls.run_id,
        tool_calls.step_id,
        tool_calls.call_index,
        tool_calls.tool_call_id,
        coalesce(runs.assistant_id, run_steps.assistant_id) as assistant_id,
        tool_calls.type,
        tool_calls.name,
        tool_calls.arguments,
        tool_calls.output,
        tool_calls.error as call_error,
        coalesce(runs.protocol, 'assistants') = 'assistants' as is_classic,
        not is_classic and (call_error is not null or coalesce(tool_calls.status in ('failed', 'incomplete'), false)) as has_failed,
        run_steps.created_at,
        run_steps.status as step_status,
        runs.status as run_status,
        coalesce(run_steps.last_error_code, runs.last_error_code) as error_code,
        coalesce(run_steps.last_error_message, runs.last_error_message) as error_message,
        run_steps.last_error_code is not null as has_step_error,
        -- Parsing every output would be slow: only text that can be such an object is parsed.
        case
            when starts_with(ltrim(tool_calls.output), '{') and contains(tool_calls.output, '"error"')
            then json_extract_string(try_cast(tool_calls.output as json), '$.error')
        end as output_error
    from tool_calls
    left join run_steps
        on run_steps.source = tool_calls.source
        and run_steps.thread_id = tool_calls.thread_id
        and run_steps.run_id = tool_calls.run_id
        and run_steps.step_id = tool_calls.step_id
    left join runs
        on runs.source = tool_calls.source
        and runs.thread_id = tool_calls.thread_id
        and runs.run_id = tool_calls.run_id
)
select
    source,
    thread_id,
    run_id,
    step_id,
    call_index,
    tool_call_id,
    assistant_id,
    type,
    name,
    created_at,
    case
        when has_failed then 'call_failed'
        when is_classic and (step_status = 'failed' or has_step_error) then 'step_failed'
        when is_classic and step_status = 'expired' then 'step_expired'
        when type = 'code_interpreter' and contains(output, 'Traceback (most recent call last)') then 'traceback'
        when type = 'code_interpreter' and is_hidden_as(output, 'traceback') then 'traceback'
        when output_error not in ('', 'false', '0', '[]', '{}') then 'error_output'
        when is_hidden_as(output, 'error') then 'error_output'
        when is_classic and type in ('function', 'mcp') and output is null and run_status in ('expired', 'failed', 'incomplete')
        then 'unanswered'
    end as reason,
    step_status,
    run_status,
    -- The run's error is the step's only where the step itself came to a bad end.
    case when reason in ('step_failed', 'step_expired', 'unanswered') then error_code end as error_code,
    case
        when reason = 'call_failed' then call_error
        when reason = 'error_output' then output_error
        when reason in ('step_failed', 'step_expired', 'unanswered') then error_message
    end as error_message,
    arguments,
    output
from calls
where reason is not null;
