-- Spend of each UTC day.
-- units: US dollars rounded to 6 decimals; day is a UTC date
-- params: days=90
-- total: cost_usd, fee_usd, steps, unpriced_steps, unpriced_rests, prompt_tokens, completion_tokens, unattributed_cost_usd
-- share: cost_usd
-- reads: daily_spend
-- runs counts a run on every day, and for every model, that its steps touch.
select
    source,
    day,
    round(sum(cost_usd), 6) as cost_usd,
    round(sum(fee_usd), 6) as fee_usd,
    cast(sum(runs) as bigint) as runs,
    cast(sum(steps) as bigint) as steps,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    round(sum(cached_tokens) / nullif(sum(prompt_tokens), 0), 4) as cached_share,
    cast(sum(unpriced_steps) as bigint) as unpriced_steps,
    cast(sum(unpriced_rests) as bigint) as unpriced_rests,
    round(sum(unattributed_cost_usd), 6) as unattributed_cost_usd
from daily_spend
group by source, day
qualify dense_rank() over (partition by source order by day desc nulls last) <= cast($days as bigint)
order by source, day;
