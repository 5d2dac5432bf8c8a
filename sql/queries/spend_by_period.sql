-- Spend per day, week or month, by model, assistant or tool.
-- units: US dollars rounded to 6 decimals; period is its first UTC day, weeks begin on Monday; cached_share from 0 to 1
-- params: per=week, by=model, periods=12
-- total: cost_usd, fee_usd, unpriced, prompt_tokens
-- share: cost_usd
-- reads: spending, tool_call_costs, tool_fees
-- By tool it is the cost of the steps that called it, divided over their calls; such rows have no cached_share.
with costs as (
    select
        source,
        created_on,
        case $by
            when 'assistant' then assistant_id
            when 'model' then model
            else error('by is model, assistant or tool')
        end as what,
        thread_id,
        run_id,
        prompt_tokens,
        cached_tokens,
        cost_usd,
        fee_usd,
        kind
    from spending
    where $by <> 'tool'
    union all
    select source, created_on, name, thread_id, run_id, null, null, cost_usd, null, 'call'
    from tool_call_costs
    where $by = 'tool'
    union all
    select source, charged_on, regexp_replace(kind, '_[a-z]+$', ''), thread_id, run_id, null, null, null, fee_usd, 'fee'
    from tool_fees
    where $by = 'tool'
)
select
    source,
    case
        when $per in ('day', 'week', 'month') then cast(date_trunc(cast($per as varchar), created_on) as date)
        else error('per is day, week or month')
    end as period,
    what,
    round(sum(cost_usd), 6) as cost_usd,
    round(sum(fee_usd), 6) as fee_usd,
    count(distinct (thread_id, run_id)) filter (where kind <> 'fee') as runs,
    count(*) filter (where kind <> 'fee' and cost_usd is null) as unpriced,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    round(sum(cached_tokens) / nullif(sum(prompt_tokens), 0), 4) as cached_share
from costs
group by source, period, what
qualify dense_rank() over (partition by source order by period desc nulls last) <= cast($periods as bigint)
order by source, period, cost_usd desc nulls last, what;
