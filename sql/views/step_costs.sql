-- What each step cost: at the price in the ledger if its run is sealed, else at the price of the day it was created.
-- grain: source, thread_id, run_id, step_id
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; created_on is a UTC date
-- reads: run_steps, runs, price_periods, cost_ledger
-- cost_usd is null, never 0, when the usage is unknown or cannot be (negative, more cached than prompt tokens, above 1e15)
-- or when the model had no price that day. Cached tokens are part of the prompt tokens, reasoning tokens of the completion
-- tokens: neither is charged twice. created_on is the run's day where the step's own instant is unknown. The prices are list
-- prices; what is paid is price times discount, rounded to 6 decimals. is_posted: the price is from the ledger.
-- Tokens written to the cache are prompt tokens with a price of their own: cache_write_cost_usd is a part of input_cost_usd.
-- The price is that of the run's tier, for requests of as many prompt tokens. tier_is_known is false where the server did not
-- say the tier: it is then priced as standard.
create or replace view step_costs as
with steps as (
    select
        run_steps.source,
        run_steps.thread_id,
        run_steps.run_id,
        run_steps.step_id,
        coalesce(runs.assistant_id, run_steps.assistant_id) as assistant_id,
        runs.model,
        case
            when runs.is_batch then 'batch'
            when coalesce(runs.service_tier, 'auto') in ('auto', 'default') then 'standard'
            when runs.service_tier = 'fast' then 'priority'
            else runs.service_tier
        end as tier,
        runs.protocol = 'assistants' or runs.is_batch or runs.service_tier <> 'auto' as tier_is_known,
        run_steps.step_index,
        run_steps.type,
        run_steps.created_at,
        cast(coalesce(run_steps.created_at, runs.created_at) at time zone 'UTC' as date) as created_on,
        run_steps.prompt_tokens,
        run_steps.cached_tokens,
        run_steps.cache_write_tokens,
        run_steps.completion_tokens,
        run_steps.reasoning_tokens,
        run_steps.total_tokens,
        -- A server that sends no cache detail charged nothing at the cached price.
        coalesce(run_steps.cached_tokens, 0) as known_cached_tokens,
        coalesce(run_steps.cache_write_tokens, 0) as known_write_tokens,
        known_cached_tokens >= 0
        and known_write_tokens between 0 and run_steps.prompt_tokens - known_cached_tokens
        and run_steps.prompt_tokens <= 1000000000000000 as is_prompt_possible,
        case
            when is_prompt_possible
            then cast(run_steps.prompt_tokens - known_cached_tokens - known_write_tokens as decimal(19, 0))
        end as charged_prompt_tokens,
        case when is_prompt_possible then cast(known_cached_tokens as decimal(19, 0)) end as charged_cached_tokens,
        case when is_prompt_possible then cast(known_write_tokens as decimal(19, 0)) end as charged_write_tokens,
        case
            when run_steps.completion_tokens between 0 and 1000000000000000
            then cast(run_steps.completion_tokens as decimal(19, 0))
        end as charged_completion_tokens
    from run_steps
    left join runs
        on runs.source = run_steps.source
        and runs.thread_id = run_steps.thread_id
        and runs.run_id = run_steps.run_id
),
step_prices as (
    select
        steps.source,
        steps.thread_id,
        steps.run_id,
        steps.step_id,
        steps.assistant_id,
        steps.model,
        steps.tier,
        steps.tier_is_known,
        steps.step_index,
        steps.type,
        steps.created_at,
        steps.created_on,
        steps.prompt_tokens,
        steps.cached_tokens,
        steps.cache_write_tokens,
        steps.completion_tokens,
        steps.reasoning_tokens,
        steps.total_tokens,
        steps.charged_prompt_tokens,
        steps.charged_cached_tokens,
        steps.charged_write_tokens,
        steps.charged_completion_tokens,
        cost_ledger.step_id is not null as is_posted,
        if(is_posted, cost_ledger.price_id, price_periods.price_id) as price_id,
        if(is_posted, cost_ledger.match, price_periods.match) as match,
        if(is_posted, cost_ledger.priced_model, price_periods.priced_model) as priced_model,
        if(is_posted, cost_ledger.input_usd_per_mtok, price_periods.list_input_usd_per_mtok) as input_usd_per_mtok,
        if(
            is_posted, cost_ledger.cached_input_usd_per_mtok, price_periods.list_cached_input_usd_per_mtok
        ) as cached_input_usd_per_mtok,
        if(
            is_posted, cost_ledger.cache_write_usd_per_mtok, price_periods.list_cache_write_usd_per_mtok
        ) as cache_write_usd_per_mtok,
        if(is_posted, cost_ledger.output_usd_per_mtok, price_periods.list_output_usd_per_mtok) as output_usd_per_mtok,
        if(is_posted, cost_ledger.discount, price_periods.discount) as discount
    from steps
    left join cost_ledger
        on cost_ledger.source = steps.source
        and cost_ledger.thread_id = steps.thread_id
        and cost_ledger.run_id = steps.run_id
        and cost_ledger.step_id = steps.step_id
    left join price_periods
        on price_periods.source = steps.source
        and price_periods.model = steps.model
        and price_periods.tier = steps.tier
        and coalesce(steps.prompt_tokens, 0) >= price_periods.min_input_tokens
        and coalesce(steps.prompt_tokens, 0) < coalesce(price_periods.below_input_tokens, 9223372036854775807)
        and price_periods.valid_from <= steps.created_on
        and steps.created_on < coalesce(price_periods.valid_to, 'infinity'::date)
)
select
    source,
    thread_id,
    run_id,
    step_id,
    assistant_id,
    model,
    tier,
    coalesce(tier_is_known, false) as tier_is_known,
    priced_model,
    price_id,
    match,
    is_posted,
    input_usd_per_mtok,
    cached_input_usd_per_mtok,
    cache_write_usd_per_mtok,
    output_usd_per_mtok,
    discount,
    step_index,
    type,
    created_at,
    created_on,
    prompt_tokens,
    cached_tokens,
    cache_write_tokens,
    completion_tokens,
    reasoning_tokens,
    total_tokens,
    token_cost(
        charged_write_tokens, paid_price(coalesce(cache_write_usd_per_mtok, input_usd_per_mtok), discount)
    ) as cache_write_cost_usd,
    cast(
        token_cost(charged_prompt_tokens, paid_price(input_usd_per_mtok, discount)) + cache_write_cost_usd as decimal(38, 12)
    ) as input_cost_usd,
    token_cost(
        charged_cached_tokens, paid_price(coalesce(cached_input_usd_per_mtok, input_usd_per_mtok), discount)
    ) as cached_cost_usd,
    token_cost(charged_completion_tokens, paid_price(output_usd_per_mtok, discount)) as output_cost_usd,
    cast(input_cost_usd + cached_cost_usd + output_cost_usd as decimal(38, 12)) as cost_usd
from step_prices;
