-- What the same tokens would cost at another model's newest price in the standard tier.
-- units: US dollars rounded to 6 decimals; the difference is what it would cost more
-- params: model=gpt-4o-mini
-- total: steps, cost_usd, difference_usd
-- reads: usage_costs, price_periods
-- What runs used beyond their steps counts too; steps without tokens are left out. Tokens that have no price now are a row of their own, with the other model's cost only.
-- A model without a price is refused.
with new_prices as (
    select source, price_id, input_usd_per_mtok, cached_input_usd_per_mtok, output_usd_per_mtok
    from price_periods
    where model = cast($model as varchar) and tier = 'standard' and min_input_tokens = 0
    qualify row_number() over (partition by source order by valid_from desc) = 1
),
tokens as (
    select
        source,
        model,
        count(*) filter (where kind = 'step') as steps,
        sum(cast(prompt_tokens as hugeint) - coalesce(cached_tokens, 0)) as uncached_tokens,
        sum(coalesce(cached_tokens, 0)) as cached_tokens,
        sum(completion_tokens) as completion_tokens,
        sum(cost_usd) as cost_usd
    from usage_costs
    where cost_usd is not null or (completion_tokens is not null and prompt_tokens >= coalesce(cached_tokens, 0))
    group by source, model, cost_usd is null
),
answers as (
    select
        tokens.source,
        tokens.model,
        tokens.steps,
        tokens.cost_usd,
        case
            when exists (select 1 from new_prices) then new_prices.price_id
            else error(
                cast($model as varchar)
                || ' has no price: `prices list` shows the models that have one'
            )
        end as price_id,
        (
            try_cast(tokens.uncached_tokens as decimal(20, 0)) * new_prices.input_usd_per_mtok
            + try_cast(tokens.cached_tokens as decimal(20, 0))
            * coalesce(new_prices.cached_input_usd_per_mtok, new_prices.input_usd_per_mtok)
            + try_cast(tokens.completion_tokens as decimal(20, 0)) * new_prices.output_usd_per_mtok
        ) as micro_usd
    from tokens
    left join new_prices on new_prices.source = tokens.source
)
select
    source,
    model,
    steps,
    round(cost_usd, 6) as cost_usd,
    cast($model as varchar) as other_model,
    price_id as other_price_id,
    cast(try_cast(micro_usd as decimal(31, 6)) * 0.000001::decimal(7, 6) as decimal(38, 6)) as other_cost_usd,
    cast(
        try_cast(micro_usd as decimal(31, 6)) * 0.000001::decimal(7, 6) - cost_usd as decimal(38, 6)
    ) as difference_usd
from answers
order by answers.cost_usd desc nulls last, source, model;
