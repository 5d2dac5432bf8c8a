-- Tool calls and failures at the head of a report.
-- grain: one row
-- reads: report_calls
select count(*) as calls, count(failure) as failures
from report_calls;
