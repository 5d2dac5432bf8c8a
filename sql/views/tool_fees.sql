-- What tools cost beside their tokens, as far as the steps of assistants show it.
-- grain: source, thread_id, run_id, kind, charged_on
-- units: US dollars; quantity in sessions; charged_on is a UTC date
-- reads: code_interpreter_sessions, tool_calls, run_steps, runs
-- kind: code_interpreter_session, of the run that began it. fee_usd is null, never 0, where nobody knows the fee. No fee is part
-- of a step's cost.
create or replace view tool_fees as
with uses as (
    select
        tool_calls.source,
        tool_calls.thread_id,
        coalesce(run_steps.created_at, runs.created_at) as used_at,
        min(tool_calls.run_id) as run_id
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
    where tool_calls.type = 'code_interpreter'
    group by tool_calls.source, tool_calls.thread_id, used_at
)
select
    code_interpreter_sessions.source,
    code_interpreter_sessions.thread_id,
    uses.run_id,
    'code_interpreter_session' as kind,
    cast(code_interpreter_sessions.started_at at time zone 'UTC' as date) as charged_on,
    count(*) as quantity,
    cast(sum(code_interpreter_sessions.fee_usd) as decimal(38, 6)) as fee_usd
from code_interpreter_sessions
left join uses
    on uses.source = code_interpreter_sessions.source
    and uses.thread_id = code_interpreter_sessions.thread_id
    and uses.used_at = code_interpreter_sessions.started_at
group by code_interpreter_sessions.source, code_interpreter_sessions.thread_id, uses.run_id, charged_on;
