-- Spend by assistant: threads, runs, tokens, cost, the median and the dearest run.
-- units: US dollars rounded to 6 decimals
-- params: limit=20
-- total: cost_usd, fee_usd, runs, steps, unpriced_steps, unpriced_rests, total_tokens, unattributed_cost_usd
-- share: cost_usd
-- reads: assistant_spend
select
    source,
    assistant_id,
    round(cost_usd, 6) as cost_usd,
    round(fee_usd, 6) as fee_usd,
    runs,
    threads,
    total_tokens,
    round(median_run_cost_usd, 6) as median_run_cost_usd,
    round(max_run_cost_usd, 6) as max_run_cost_usd,
    last_run_at,
    steps,
    unpriced_steps,
    unpriced_rests,
    round(unattributed_cost_usd, 6) as unattributed_cost_usd
from assistant_spend
order by assistant_spend.cost_usd desc nulls last, source, assistant_id
limit cast($limit as bigint);
