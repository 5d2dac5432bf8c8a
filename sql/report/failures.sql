-- Failed tool calls by tool and reason.
-- grain: name, type, failure
-- units: failure_share is of all calls of the tool, from 0 to 1
-- reads: report_calls
with tool_calls_made as (
    select name, type, count(*) as calls
    from report_calls
    group by name, type
)
select
    report_calls.name,
    report_calls.type,
    report_calls.failure,
    count(*) as failures,
    count(*) / any_value(tool_calls_made.calls) as failure_share
from report_calls
left join tool_calls_made
    on tool_calls_made.name is not distinct from report_calls.name
    and tool_calls_made.type is not distinct from report_calls.type
where report_calls.failure is not null
group by report_calls.name, report_calls.type, report_calls.failure
order by failures desc, report_calls.name, report_calls.type, report_calls.failure;
