-- The figures at the head of a report.
-- grain: one row
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; days are UTC dates
-- reads: report_steps, report_runs
select
    (select count(*) from report_runs) as runs,
    count(*) as steps,
    count(cost_usd) as priced_steps,
    count(*) - count(cost_usd) as unpriced_steps,
    min(created_on) as first_day,
    max(created_on) as last_day,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    sum(cost_usd) as cost_usd
from report_steps;
