-- Spend by assistant.
-- grain: source, assistant_id
-- units: US dollars, exact to 12 decimals
-- reads: report_steps
select
    source,
    assistant_id,
    count(distinct thread_id) as threads,
    count(distinct (thread_id, run_id)) as runs,
    count(*) as steps,
    count(*) - count(cost_usd) as unpriced_steps,
    sum(cost_usd) as cost_usd
from report_steps
group by source, assistant_id
order by cost_usd desc nulls last, runs desc, source, assistant_id;
