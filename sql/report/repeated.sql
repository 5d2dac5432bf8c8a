-- Calls made again with the same arguments in the same run, and what the repetitions cost.
-- grain: name, type
-- units: US dollars, exact to 12 decimals
-- reads: repeated_tool_calls, report_spending
select
    repeated_tool_calls.name,
    repeated_tool_calls.type,
    count(*) as repetitions,
    count(distinct (repeated_tool_calls.source, repeated_tool_calls.thread_id, repeated_tool_calls.run_id)) as runs,
    max(repeated_tool_calls.repetition) + 1 as most_calls_in_one_run,
    sum(repeated_tool_calls.cost_usd) as cost_usd
from repeated_tool_calls
semi join report_spending
    on report_spending.source = repeated_tool_calls.source
    and report_spending.thread_id = repeated_tool_calls.thread_id
    and report_spending.run_id = repeated_tool_calls.run_id
    and report_spending.step_id = repeated_tool_calls.step_id
    and report_spending.kind = 'step'
group by repeated_tool_calls.name, repeated_tool_calls.type
order by repetitions desc, repeated_tool_calls.name, repeated_tool_calls.type;
