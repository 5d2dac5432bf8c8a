-- The dearest threads.
-- units: US dollars rounded to 6 decimals; code interpreter fees stand beside the cost, not in it
-- params: limit=20
-- reads: thread_costs
select
    source,
    thread_id,
    round(cost_usd, 6) as cost_usd,
    runs,
    steps,
    total_tokens,
    last_run_at,
    code_interpreter_sessions,
    round(code_interpreter_fee_usd, 6) as code_interpreter_fee_usd,
    thread_status,
    unpriced_steps,
    unpriced_rests,
    round(unattributed_cost_usd, 6) as unattributed_cost_usd
from thread_costs
order by thread_costs.cost_usd desc nulls last, source, thread_id
limit cast($limit as bigint);
