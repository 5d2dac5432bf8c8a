-- Spend by UTC day, for every day on which something was used.
-- grain: day
-- units: US dollars, exact to 12 decimals
-- reads: report_steps
select
    created_on as day,
    count(distinct (source, thread_id, run_id)) as runs,
    count(*) as steps,
    count(*) - count(cost_usd) as unpriced_steps,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    sum(cost_usd) as cost_usd
from report_steps
where created_on is not null
group by created_on
order by day;
