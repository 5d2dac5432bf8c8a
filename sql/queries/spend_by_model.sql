-- Spend by model, unpriced models included.
-- units: US dollars rounded to 6 decimals
-- reads: step_costs
select
    source,
    model,
    count(distinct (thread_id, run_id)) as runs,
    count(*) as steps,
    count(*) - count(cost_usd) as unpriced_steps,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(reasoning_tokens) as bigint) as reasoning_tokens,
    round(sum(cost_usd), 6) as cost_usd
from step_costs
group by source, model
order by cost_usd desc nulls last, source, model;
