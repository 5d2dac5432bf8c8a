-- Steps in the scope of a report, with their cost.
-- grain: source, thread_id, run_id, step_id
-- units: US dollars, exact to 12 decimals; created_on is a UTC date
-- params: source, since
-- reads: step_costs
create temp table report_steps as
select
    source,
    thread_id,
    run_id,
    step_id,
    assistant_id,
    model,
    created_on,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    total_tokens,
    price_id,
    cost_usd
from step_costs
where
    ($source is null or source = $source)
    and ($since is null or created_on >= cast($since as date));
