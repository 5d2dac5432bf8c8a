-- Spend by model.
-- grain: model
-- units: US dollars, exact to 12 decimals; cached_share from 0 to 1
-- reads: report_steps
select
    model,
    count(distinct (source, thread_id, run_id)) as runs,
    count(*) as steps,
    count(*) - count(cost_usd) as unpriced_steps,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    sum(cached_tokens) / nullif(sum(prompt_tokens), 0) as cached_share,
    sum(cost_usd) as cost_usd
from report_steps
group by model
order by cost_usd desc nulls last, prompt_tokens desc nulls last, model;
