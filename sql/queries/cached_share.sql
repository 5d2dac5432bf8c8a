-- How much of the prompt came from the cache, by model and assistant, and what the rest cost.
-- units: US dollars rounded to 6 decimals; cached_share from 0 to 1
-- params: limit=20
-- total: prompt_tokens, cached_tokens, input_cost_usd, cached_cost_usd
-- share: input_cost_usd
-- reads: daily_spend
select
    source,
    model,
    assistant_id,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    round(sum(cached_tokens) / nullif(sum(prompt_tokens), 0), 4) as cached_share,
    round(sum(input_cost_usd), 6) as input_cost_usd,
    round(sum(cached_cost_usd), 6) as cached_cost_usd
from daily_spend
group by source, model, assistant_id
order by prompt_tokens desc nulls last, source, model, assistant_id
limit cast($limit as bigint);
