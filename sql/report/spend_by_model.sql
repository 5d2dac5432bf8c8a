-- Spend by model.
-- grain: model
-- units: US dollars, exact to 12 decimals; cached_share from 0 to 1
-- reads: report_spending
select
    model,
    count(distinct (source, thread_id, run_id)) filter (where kind <> 'fee') as runs,
    count(*) filter (where kind = 'step') as steps,
    count(*) filter (where kind = 'step' and is_unpriced) as unpriced_steps,
    count(*) filter (where kind = 'run_rest' and cost_usd is null) as unpriced_rests,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    sum(cached_tokens) / nullif(sum(prompt_tokens), 0) as cached_share,
    sum(unattributed_cost_usd) as unattributed_cost_usd,
    sum(fee_usd) as fee_usd,
    sum(cost_usd) as cost_usd
from report_spending
group by model
order by cost_usd desc nulls last, prompt_tokens desc nulls last, model;
