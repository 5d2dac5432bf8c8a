-- Spend by UTC day, for every day on which something was used.
-- grain: day
-- units: US dollars, exact to 12 decimals
-- reads: report_spending
select
    created_on as day,
    sum(spent_usd) as spent_usd,
    sum(fee_usd) as fee_usd,
    count(distinct (source, thread_id, run_id)) as runs,
    count(*) filter (where kind = 'step') as steps,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    try_cast(sum(total_tokens) filter (where unpriced_reason is not null) as bigint) as unpriced_tokens
from report_spending
where created_on is not null
group by created_on
order by day;
