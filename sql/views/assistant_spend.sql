-- Spend by assistant.
-- grain: source, assistant_id
-- units: US dollars, exact to 12 decimals; tokens are the sums over the runs
-- reads: run_costs
-- Fees stand beside the cost, never in it. The median is the cost of a real run (the lower of the two in the middle), so it stays exact.
create or replace view assistant_spend as
select
    source,
    assistant_id,
    count(distinct thread_id) as threads,
    count(*) as runs,
    cast(sum(columns('steps$|unpriced_rests|unknown_fees')) as bigint) as '\0',
    min(created_at) as first_run_at,
    max(created_at) as last_run_at,
    try_cast(sum(columns('_tokens$')) as bigint) as '\0',
    sum(cost_usd) as cost_usd,
    sum(unattributed_cost_usd) as unattributed_cost_usd,
    sum(fee_usd) as fee_usd,
    quantile_disc(cost_usd, 0.5) as median_run_cost_usd,
    max(cost_usd) as max_run_cost_usd
from run_costs
group by source, assistant_id;
