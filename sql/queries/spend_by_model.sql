-- Spend by model, unpriced models included.
-- units: US dollars rounded to 6 decimals
-- total: cost_usd, fee_usd, runs, steps, unpriced_steps, unpriced_rests, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, unattributed_cost_usd
-- share: cost_usd
-- reads: spending
select
    source,
    model,
    round(sum(cost_usd), 6) as cost_usd,
    round(sum(fee_usd), 6) as fee_usd,
    count(distinct (thread_id, run_id)) filter (where kind <> 'fee') as runs,
    count(*) filter (where kind = 'step') as steps,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(reasoning_tokens) as bigint) as reasoning_tokens,
    count(*) filter (where kind = 'step' and is_unpriced) as unpriced_steps,
    count(*) filter (where kind = 'run_rest' and cost_usd is null) as unpriced_rests,
    round(sum(unattributed_cost_usd), 6) as unattributed_cost_usd
from spending
group by source, model
order by cost_usd desc nulls last, source, model;
