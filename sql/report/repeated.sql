-- Calls made again with the same arguments in the same run, and what the repetitions cost.
-- grain: name, type
-- units: US dollars, exact to 12 decimals
-- reads: repeated_tool_calls, report_steps
select
    repeated_tool_calls.name,
    repeated_tool_calls.type,
    count(*) as repetitions,
    count(distinct (repeated_tool_calls.source, repeated_tool_calls.thread_id, repeated_tool_calls.run_id)) as runs,
    max(repeated_tool_calls.repetition) + 1 as most_calls_in_one_run,
    sum(repeated_tool_calls.cost_usd) as cost_usd
from repeated_tool_calls
semi join report_steps
    on report_steps.source = repeated_tool_calls.source
    and report_steps.thread_id = repeated_tool_calls.thread_id
    and report_steps.run_id = repeated_tool_calls.run_id
    and report_steps.step_id = repeated_tool_calls.step_id
group by repeated_tool_calls.name, repeated_tool_calls.type
order by repetitions desc, repeated_tool_calls.name, repeated_tool_calls.type;
