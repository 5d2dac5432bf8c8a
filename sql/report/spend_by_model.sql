-- Spend by model, with the model that the name of a deployment stands for.
-- grain: model
-- units: US dollars, exact to 12 decimals; shares from 0 to 1
-- reads: report_spending, model_names
with spend as (
    select
        model,
        sum(spent_usd) as spent_usd,
        sum(fee_usd) as fee_usd,
        count(distinct (source, thread_id, run_id)) as runs,
        try_cast(sum(total_tokens) as bigint) as total_tokens,
        sum(cached_tokens) / nullif(sum(prompt_tokens), 0) as cached_share,
        try_cast(sum(total_tokens) filter (where unpriced_reason is not null) as bigint) as unpriced_tokens
    from report_spending
    group by model
),
meanings as (
    select name, min(model) as stands_for
    from model_names
    where name <> model
    group by name
)
select
    spend.model,
    meanings.stands_for,
    spend.spent_usd,
    spend.spent_usd / nullif(sum(spend.spent_usd) over (), 0) as share,
    spend.fee_usd,
    spend.runs,
    cast(spend.spent_usd / nullif(spend.runs, 0) as decimal(38, 6)) as run_usd,
    spend.total_tokens,
    spend.cached_share,
    spend.unpriced_tokens
from spend
left join meanings on meanings.name = spend.model
order by spend.spent_usd desc nulls last, spend.total_tokens desc nulls last, spend.model;
