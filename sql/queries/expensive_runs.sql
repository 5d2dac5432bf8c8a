-- The dearest runs.
-- units: US dollars rounded to 6 decimals
-- params: limit=20
-- reads: run_costs
select
    source,
    thread_id,
    run_id,
    round(cost_usd, 6) as cost_usd,
    model,
    created_at,
    status,
    assistant_id,
    steps,
    prompt_tokens,
    completion_tokens,
    unpriced_steps,
    unpriced_rests,
    round(unattributed_cost_usd, 6) as unattributed_cost_usd
from run_costs
order by run_costs.cost_usd desc nulls last, source, thread_id, run_id
limit cast($limit as bigint);
