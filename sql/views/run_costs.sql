-- What each run cost: the exact sum of its steps, beside the counts that say how much of it is known.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals; tokens are the sums over the steps
-- reads: step_costs, runs
-- cost_usd sums the steps whose cost is known; unpriced_steps have none (usage unknown, or no price for the model).
-- Steps whose run is not in the warehouse still make a run here, so that no money is lost.
create or replace view run_costs as
with step_sums as (
    select
        source,
        thread_id,
        run_id,
        min(assistant_id) as assistant_id,
        min(created_at) as first_step_at,
        count(*) as steps,
        count(cost_usd) as priced_steps,
        try_cast(sum(columns('_tokens$')) as bigint) as '\0',
        sum(columns('cost_usd$')) as '\0'
    from step_costs
    group by source, thread_id, run_id
)
select
    coalesce(runs.source, step_sums.source) as source,
    coalesce(runs.thread_id, step_sums.thread_id) as thread_id,
    coalesce(runs.run_id, step_sums.run_id) as run_id,
    coalesce(runs.assistant_id, step_sums.assistant_id) as assistant_id,
    runs.model,
    runs.status,
    coalesce(runs.created_at, step_sums.first_step_at) as created_at,
    -- A run without a row of sums has no steps: here 0 is the count, not a missing value.
    coalesce(step_sums.steps, 0) as steps,
    coalesce(step_sums.priced_steps, 0) as priced_steps,
    coalesce(step_sums.steps - step_sums.priced_steps, 0) as unpriced_steps,
    step_sums.prompt_tokens,
    step_sums.cached_tokens,
    step_sums.completion_tokens,
    step_sums.reasoning_tokens,
    step_sums.total_tokens,
    step_sums.input_cost_usd,
    step_sums.cached_cost_usd,
    step_sums.output_cost_usd,
    step_sums.cost_usd
from runs
full join step_sums
    on step_sums.source = runs.source
    and step_sums.thread_id = runs.thread_id
    and step_sums.run_id = runs.run_id;
