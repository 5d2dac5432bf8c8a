-- Failed tool calls by tool and reason.
-- grain: name, type, failure
-- reads: report_calls
select name, type, failure, count(*) as failures
from report_calls
where failure is not null
group by name, type, failure
order by failures desc, name, type, failure;
