-- What each run cost: the exact sum of its steps and of the rest that no step tells, beside what says how much of it is known.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals; tokens are the sums over the steps and the rest; created_on is a UTC date
-- reads: usage_costs, tool_fees, runs
-- cost_usd sums what is known; unpriced_steps have no cost (usage unknown, or no price for the model), and unpriced_rests is 1
-- where the rest has none. A step that tells only a total is neither priced nor unpriced where the rest has its tokens by kind. unattributed_tokens and unattributed_cost_usd are the rest's part: the run's own usage beyond its
-- steps' (null: the steps tell all). They are in the run's tokens and in cost_usd.
-- fee_usd, what tools cost beside tokens, is not; unknown_fees counts those that nobody knows.
-- created_on is the run's day: spend by the day of each step is in daily_spend.
-- Steps whose run is not in the warehouse still make a run here, so that no money is lost.
create or replace view run_costs as
with usage_sums as (
    select
        source,
        thread_id,
        run_id,
        min(assistant_id) as assistant_id,
        min(created_at) as first_used_at,
        count(*) filter (where kind = 'step') as steps,
        count(cost_usd) filter (where kind = 'step') as priced_steps,
        count(*) filter (where kind = 'step' and is_unpriced) as unpriced_steps,
        count(*) filter (where kind = 'run_rest' and cost_usd is null) as unpriced_rests,
        try_cast(sum(columns('_tokens$')) as bigint) as '\0',
        sum(columns('cost_usd$')) as '\0',
        try_cast(
            sum(coalesce(total_tokens, cast(prompt_tokens as hugeint) + completion_tokens)) filter (where kind = 'run_rest')
            as bigint
        ) as unattributed_tokens,
        sum(cost_usd) filter (where kind = 'run_rest') as unattributed_cost_usd
    from usage_costs
    group by source, thread_id, run_id
),
fee_sums as (
    select
        source,
        thread_id,
        run_id,
        cast(sum(fee_usd) as decimal(38, 12)) as fee_usd,
        count(*) - count(fee_usd) as unknown_fees
    from tool_fees
    group by source, thread_id, run_id
)
select
    coalesce(runs.source, usage_sums.source) as source,
    coalesce(runs.thread_id, usage_sums.thread_id) as thread_id,
    coalesce(runs.run_id, usage_sums.run_id) as run_id,
    coalesce(runs.assistant_id, usage_sums.assistant_id) as assistant_id,
    runs.model,
    runs.status,
    coalesce(runs.created_at, usage_sums.first_used_at) as created_at,
    cast(coalesce(runs.created_at, usage_sums.first_used_at) at time zone 'UTC' as date) as created_on,
    -- A run without a row of sums has no steps: here 0 is the count, not a missing value.
    coalesce(usage_sums.steps, 0) as steps,
    coalesce(usage_sums.priced_steps, 0) as priced_steps,
    coalesce(usage_sums.unpriced_steps, 0) as unpriced_steps,
    coalesce(usage_sums.unpriced_rests, 0) as unpriced_rests,
    usage_sums.prompt_tokens,
    usage_sums.cached_tokens,
    usage_sums.completion_tokens,
    usage_sums.reasoning_tokens,
    usage_sums.total_tokens,
    usage_sums.input_cost_usd,
    usage_sums.cached_cost_usd,
    usage_sums.output_cost_usd,
    usage_sums.cost_usd,
    usage_sums.unattributed_tokens,
    usage_sums.unattributed_cost_usd,
    fee_sums.fee_usd,
    coalesce(fee_sums.unknown_fees, 0) as unknown_fees
from runs
full join usage_sums
    on usage_sums.source = runs.source
    and usage_sums.thread_id = runs.thread_id
    and usage_sums.run_id = runs.run_id
left join fee_sums
    on fee_sums.source = coalesce(runs.source, usage_sums.source)
    and fee_sums.thread_id = coalesce(runs.thread_id, usage_sums.thread_id)
    and fee_sums.run_id = coalesce(runs.run_id, usage_sums.run_id);
