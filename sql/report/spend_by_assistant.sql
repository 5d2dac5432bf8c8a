-- Spend by assistant.
-- grain: source, assistant_id
-- units: US dollars, exact to 12 decimals
-- reads: report_spending
select
    source,
    assistant_id,
    count(distinct thread_id) as threads,
    count(distinct (thread_id, run_id)) filter (where kind <> 'fee') as runs,
    count(*) filter (where kind = 'step') as steps,
    count(*) filter (where kind = 'step' and is_unpriced) as unpriced_steps,
    count(*) filter (where kind = 'run_rest' and cost_usd is null) as unpriced_rests,
    sum(unattributed_cost_usd) as unattributed_cost_usd,
    sum(fee_usd) as fee_usd,
    sum(cost_usd) as cost_usd
from report_spending
group by source, assistant_id
order by cost_usd desc nulls last, runs desc, source, assistant_id;
