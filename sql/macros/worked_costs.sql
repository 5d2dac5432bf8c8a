-- What the usage of some runs and steps cost, worked out: `runs_of` and `steps_of` name relations with the columns of runs and of run_steps.
-- grain: source, thread_id, run_id, step_id
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; created_on is a UTC date
-- reads: prices, price_discounts, model_names, source_providers, cost_ledger
-- The steps of a run must all be there: its rest is what they do not tell. usage_costs says what the columns mean.
create or replace macro worked_costs(runs_of, steps_of) as table
with step_sums as (
    select
        source,
        thread_id,
        run_id,
        -- Sums are wider than bigint, and usage below 0 takes nothing off.
        sum(greatest(prompt_tokens, 0)) as prompt_tokens,
        sum(greatest(cached_tokens, 0)) as cached_tokens,
        sum(greatest(cache_write_tokens, 0)) as cache_write_tokens,
        sum(greatest(completion_tokens, 0)) as completion_tokens,
        sum(greatest(reasoning_tokens, 0)) as reasoning_tokens,
        sum(greatest(coalesce(total_tokens, cast(prompt_tokens as hugeint) + completion_tokens), 0)) as total_tokens,
        sum(total_tokens) filter (where prompt_tokens is null and completion_tokens is null) as only_total_tokens
    from query_table(steps_of)
    where prompt_tokens is not null or completion_tokens is not null or total_tokens is not null
    group by source, thread_id, run_id
),
rests as (
    select
        runs.source,
        runs.thread_id,
        runs.run_id,
        runs.created_at,
        step_sums.run_id is null as is_whole,
        case when is_whole then runs.prompt_tokens else tokens_left(runs.prompt_tokens, step_sums.prompt_tokens) end as left_prompt,
        case when is_whole then runs.completion_tokens else tokens_left(runs.completion_tokens, step_sums.completion_tokens) end as left_completion,
        case when is_whole then runs.total_tokens else tokens_left(runs.total_tokens, step_sums.total_tokens) end as left_total,
        -- Details are a part of what is left, unless the run itself says more of them than can be.
        case
            when is_whole or runs.cached_tokens > runs.prompt_tokens then runs.cached_tokens
            when runs.cached_tokens is not null
            then least(tokens_left(runs.cached_tokens, step_sums.cached_tokens), left_prompt)
        end as left_cached,
        case
            when is_whole or runs.cache_write_tokens > runs.prompt_tokens then runs.cache_write_tokens
            when runs.cache_write_tokens is not null
            then least(
                tokens_left(runs.cache_write_tokens, step_sums.cache_write_tokens),
                tokens_left(left_prompt, left_cached)
            )
        end as left_cache_write,
        case
            when is_whole or runs.reasoning_tokens > runs.completion_tokens then runs.reasoning_tokens
            when runs.reasoning_tokens is not null
            then least(tokens_left(runs.reasoning_tokens, step_sums.reasoning_tokens), left_completion)
        end as left_reasoning,
        cast(left_prompt as hugeint) + left_completion >= step_sums.only_total_tokens as has_only_totals
    from query_table(runs_of) as runs
    left join step_sums
        on step_sums.source = runs.source
        and step_sums.thread_id = runs.thread_id
        and step_sums.run_id = runs.run_id
    where runs.prompt_tokens <> 0 or runs.completion_tokens <> 0 or runs.total_tokens <> 0
),
usages as (
    select
        'step' as kind,
        source,
        thread_id,
        run_id,
        step_id,
        assistant_id,
        step_index,
        type,
        created_at,
        prompt_tokens,
        cached_tokens,
        cache_write_tokens,
        completion_tokens,
        reasoning_tokens,
        total_tokens,
        prompt_tokens is null
        and completion_tokens is null
        and total_tokens > 0
        and (source, thread_id, run_id) in (select (source, thread_id, run_id) from rests where has_only_totals) as is_in_rest
    from query_table(steps_of)
    union all
    select
        'run_rest',
        source,
        thread_id,
        run_id,
        '',
        null,
        null,
        null,
        created_at,
        cast(left_prompt as bigint),
        cast(left_cached as bigint),
        cast(left_cache_write as bigint),
        cast(left_completion as bigint),
        cast(left_reasoning as bigint),
        cast(left_total as bigint),
        false
    from rests
    where is_whole or left_prompt > 0 or left_completion > 0 or left_total > 0
),
steps as (
    select
        usages.kind,
        usages.source,
        usages.thread_id,
        usages.run_id,
        usages.step_id,
        coalesce(runs.assistant_id, usages.assistant_id) as assistant_id,
        runs.model,
        case
            when runs.is_batch then 'batch'
            when coalesce(runs.service_tier, 'auto') in ('auto', 'default') then 'standard'
            when runs.service_tier = 'fast' then 'priority'
            else runs.service_tier
        end as tier,
        (runs.protocol = 'assistants' and runs.service_tier is null)
        or runs.is_batch
        or runs.service_tier <> 'auto' as tier_is_known,
        usages.step_index,
        usages.type,
        usages.created_at,
        cast(coalesce(usages.created_at, runs.created_at) at time zone 'UTC' as date) as created_on,
        usages.prompt_tokens,
        usages.cached_tokens,
        usages.cache_write_tokens,
        usages.completion_tokens,
        usages.reasoning_tokens,
        usages.total_tokens,
        usages.is_in_rest,
        -- A server that sends no cache detail charged nothing at the cached price.
        coalesce(usages.cached_tokens, 0) as known_cached_tokens,
        coalesce(usages.cache_write_tokens, 0) as known_write_tokens,
        known_cached_tokens >= 0
        and known_write_tokens between 0 and usages.prompt_tokens - known_cached_tokens
        and usages.prompt_tokens <= 1000000000000000 as is_prompt_possible,
        case
            when is_prompt_possible
            then cast(usages.prompt_tokens - known_cached_tokens - known_write_tokens as decimal(19, 0))
        end as charged_prompt_tokens,
        case when is_prompt_possible then cast(known_cached_tokens as decimal(19, 0)) end as charged_cached_tokens,
        case when is_prompt_possible then cast(known_write_tokens as decimal(19, 0)) end as charged_write_tokens,
        case
            when usages.completion_tokens between 0 and 1000000000000000
            then cast(usages.completion_tokens as decimal(19, 0))
        end as charged_completion_tokens
    from usages
    left join query_table(runs_of) as runs
        on runs.source = usages.source
        and runs.thread_id = usages.thread_id
        and runs.run_id = usages.run_id
),
step_prices as (
    select
        steps.kind,
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
        steps.is_in_rest,
        steps.charged_prompt_tokens,
        steps.charged_cached_tokens,
        steps.charged_write_tokens,
        steps.charged_completion_tokens,
        cost_ledger.step_id is not null as is_posted,
        case when is_posted then cost_ledger.price_id else price_periods.price_id end as price_id,
        case when is_posted then cost_ledger.match else price_periods.match end as match,
        case when is_posted then cost_ledger.priced_model else price_periods.priced_model end as priced_model,
        case when is_posted then cost_ledger.input_usd_per_mtok else price_periods.list_input_usd_per_mtok end as input_usd_per_mtok,
        case when is_posted then cost_ledger.cached_input_usd_per_mtok else price_periods.list_cached_input_usd_per_mtok end as cached_input_usd_per_mtok,
        case when is_posted then cost_ledger.cache_write_usd_per_mtok else price_periods.list_cache_write_usd_per_mtok end as cache_write_usd_per_mtok,
        case when is_posted then cost_ledger.output_usd_per_mtok else price_periods.list_output_usd_per_mtok end as output_usd_per_mtok,
        case when is_posted then cost_ledger.discount else price_periods.discount end as discount
    from steps
    left join cost_ledger
        on cost_ledger.source = steps.source
        and cost_ledger.thread_id = steps.thread_id
        and cost_ledger.run_id = steps.run_id
        and cost_ledger.step_id = steps.step_id
    left join price_periods_of(runs_of) as price_periods
        on price_periods.source = steps.source
        and price_periods.model = steps.model
        and price_periods.tier = steps.tier
        and coalesce(steps.prompt_tokens, 0) >= price_periods.min_input_tokens
        and coalesce(steps.prompt_tokens, 0) < coalesce(price_periods.below_input_tokens, 9223372036854775807)
        and price_periods.valid_from <= steps.created_on
        and steps.created_on < coalesce(price_periods.valid_to, 'infinity'::date)
)
select
    kind,
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
    cast(input_cost_usd + cached_cost_usd + output_cost_usd as decimal(38, 12)) as cost_usd,
    cost_usd is null and not is_in_rest as is_unpriced,
    case
        when cost_usd is not null or is_in_rest then null
        when coalesce(prompt_tokens, 0) = 0 and coalesce(completion_tokens, 0) = 0 and coalesce(total_tokens, 0) = 0 then null
        when prompt_tokens is null and completion_tokens is null then 'only a total'
        when prompt_tokens is null or completion_tokens is null then 'only a part'
        when charged_prompt_tokens is null or charged_completion_tokens is null then 'impossible usage'
        when model is null then 'no model'
        when created_on is null then 'no day'
        when tier <> 'standard' then 'no price of its tier'
        else 'no price'
    end as unpriced_reason
from step_prices;
