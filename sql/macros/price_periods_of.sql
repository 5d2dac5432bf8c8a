-- The one price that holds for a name on a day, for the names of a relation with the columns source and model.
-- grain: source, model, tier, min_input_tokens, valid_from
-- units: US dollars per million tokens, as in price_periods, which says how a price is found
-- reads: prices, price_discounts, model_names, source_providers
-- Of few names little has to be looked at: price_periods has every name of the list for every source.
create or replace macro price_periods_of(named_in) as table
with meant_names as (
    select names.source, names.model, coalesce(model_names.model, names.model) as meant_model
    from (
        select distinct source, model
        from query_table(named_in)
        where model is not null
    ) as names
    left join model_names on model_names.source = names.source and model_names.name = names.model
),
named_candidates as (
    select meant_names.source, meant_names.model, prices.price_id
    from meant_names
    inner join prices on prices.model = meant_names.meant_model and prices.match <> 'pattern'
    union all
    select meant_names.source, meant_names.model, prices.price_id
    from meant_names
    inner join prices on prices.match = 'pattern' and meant_names.meant_model glob prices.model
),
candidates as (
    select
        named_candidates.source,
        named_candidates.model,
        prices.price_id,
        prices.provider,
        prices.match,
        prices.model as priced_model,
        prices.stands_for,
        prices.tier,
        prices.sku,
        prices.min_input_tokens,
        prices.max_input_tokens,
        prices.valid_from,
        prices.valid_to,
        prices.input_usd_per_mtok,
        prices.cached_input_usd_per_mtok,
        prices.cache_write_usd_per_mtok,
        prices.output_usd_per_mtok,
        prices.discount,
        prices.origin,
        prices.only_source,
        coalesce(prices.provider = coalesce(source_providers.provider, 'openai'), false) as is_own_provider
    from named_candidates
    inner join prices on prices.price_id = named_candidates.price_id
    left join source_providers on source_providers.source = named_candidates.source
    where
        (prices.only_source is null or prices.only_source = named_candidates.source)
        and (
            prices.provider is null
            or prices.provider = 'azure'
            or source_providers.provider is distinct from 'azure'
        )
        and (
            coalesce(prices.sku, 'global') = coalesce(source_providers.sku, 'global')
            or (prices.origin = 'own' and prices.sku is null)
        )
    qualify
        is_own_provider
        or prices.origin = 'own'
        or not bool_or(is_own_provider and prices.origin = 'shipped') over (
            partition by named_candidates.source, named_candidates.model, prices.match
        )
),
discounts as (
    select
        meant_names.source,
        meant_names.model,
        price_discounts.discount_id,
        price_discounts.model as pattern,
        price_discounts.valid_from,
        price_discounts.valid_to,
        price_discounts.discount,
        price_discounts.only_source
    from meant_names
    inner join price_discounts on meant_names.meant_model glob price_discounts.model
    where price_discounts.only_source is null or price_discounts.only_source = meant_names.source
),
tiers as (
    select distinct source, model, tier from candidates
),
boundaries as (
    select source, model, tier, valid_from as starts_on from candidates
    union
    select source, model, tier, valid_to from candidates where valid_to is not null
    union
    select source, model, tier, valid_from from tiers inner join discounts using (source, model)
    union
    select source, model, tier, valid_to from tiers inner join discounts using (source, model) where valid_to is not null
),
periods as (
    select
        source,
        model,
        tier,
        starts_on,
        lead(starts_on) over (partition by source, model, tier order by starts_on) as ends_on
    from boundaries
),
period_prices as (
    select
        periods.source,
        periods.model,
        periods.tier,
        periods.starts_on,
        periods.ends_on,
        candidates.sku,
        candidates.min_input_tokens,
        candidates.max_input_tokens,
        candidates.price_id,
        candidates.provider,
        candidates.match,
        candidates.priced_model,
        candidates.stands_for,
        candidates.origin,
        candidates.input_usd_per_mtok,
        candidates.cached_input_usd_per_mtok,
        candidates.cache_write_usd_per_mtok,
        candidates.output_usd_per_mtok,
        case when candidates.origin = 'shipped' then discounts.discount_id end as discount_id,
        case
            when candidates.origin = 'shipped' and discounts.discount is not null then discounts.discount
            else candidates.discount
        end as discount
    from periods
    inner join candidates
        on candidates.source = periods.source
        and candidates.model = periods.model
        and candidates.tier = periods.tier
        and candidates.valid_from <= periods.starts_on
        and periods.starts_on < coalesce(candidates.valid_to, 'infinity'::date)
    left join discounts
        on discounts.source = periods.source
        and discounts.model = periods.model
        and discounts.valid_from <= periods.starts_on
        and periods.starts_on < coalesce(discounts.valid_to, 'infinity'::date)
    -- The best price with all its steps, and beside it the best discount.
    window by_rule as (
        partition by periods.source, periods.model, periods.tier, periods.starts_on
        order by
            candidates.origin = 'own' desc,
            candidates.only_source is null,
            candidates.sku is null,
            case candidates.match when 'exact' then 0 when 'alias' then 1 else 2 end,
            candidates.is_own_provider desc,
            length(candidates.priced_model) desc,
            candidates.priced_model desc,
            candidates.valid_from desc,
            discounts.only_source is null,
            discounts.pattern = periods.model desc,
            length(discounts.pattern) desc,
            discounts.valid_from desc,
            discounts.discount_id desc
    )
    qualify rank() over by_rule = 1
)
select
    source,
    model,
    tier,
    min_input_tokens,
    -- least() passes over nulls.
    least(
        max_input_tokens + 1,
        min(min_input_tokens) over (
            partition by source, model, tier, starts_on
            order by min_input_tokens range between 1 following and unbounded following
        )
    ) as below_input_tokens,
    sku,
    starts_on as valid_from,
    ends_on as valid_to,
    price_id,
    provider,
    match,
    priced_model,
    stands_for,
    origin,
    paid_price(input_usd_per_mtok, discount) as input_usd_per_mtok,
    paid_price(cached_input_usd_per_mtok, discount) as cached_input_usd_per_mtok,
    paid_price(cache_write_usd_per_mtok, discount) as cache_write_usd_per_mtok,
    paid_price(output_usd_per_mtok, discount) as output_usd_per_mtok,
    input_usd_per_mtok as list_input_usd_per_mtok,
    cached_input_usd_per_mtok as list_cached_input_usd_per_mtok,
    cache_write_usd_per_mtok as list_cache_write_usd_per_mtok,
    output_usd_per_mtok as list_output_usd_per_mtok,
    discount,
    discount_id
from period_prices
-- Of two rows of one step the greater price_id.
qualify row_number() over (partition by source, model, tier, starts_on, min_input_tokens order by price_id desc) = 1;
