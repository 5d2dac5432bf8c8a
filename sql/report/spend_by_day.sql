-- Spend by UTC day, for every day on which something was used.
-- grain: day
-- units: US dollars, exact to 12 decimals
-- reads: report_spending
select
    created_on as day,
    count(distinct (source, thread_id, run_id)) filter (where kind <> 'fee') as runs,
    count(*) filter (where kind = 'step') as steps,
    count(*) filter (where kind = 'step' and is_unpriced) as unpriced_steps,
    count(*) filter (where kind = 'run_rest' and cost_usd is null) as unpriced_rests,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    sum(unattributed_cost_usd) as unattributed_cost_usd,
    sum(fee_usd) as fee_usd,
    sum(cost_usd) as cost_usd
from report_spending
where created_on is not null
group by created_on
order by day;
