-- How the prompt grows along a run: prompt tokens step by step, in the runs where they grow most.
-- units: tokens; growth_tokens is against the step before that had usage; US dollars rounded to 6 decimals
-- params: runs=5
-- reads: step_costs
with sized_steps as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        step_index,
        type,
        prompt_tokens,
        cached_tokens,
        cost_usd,
        prompt_tokens
        - lag(prompt_tokens) over (partition by source, thread_id, run_id order by step_index, step_id) as growth_tokens,
        max(prompt_tokens) over (partition by source, thread_id, run_id)
        - min(prompt_tokens) over (partition by source, thread_id, run_id) as run_growth_tokens
    from step_costs
    where prompt_tokens > 0
),
ranked_steps as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        step_index,
        type,
        prompt_tokens,
        cached_tokens,
        cost_usd,
        growth_tokens,
        run_growth_tokens,
        dense_rank() over (order by run_growth_tokens desc, source, thread_id, run_id) as run_rank
    from sized_steps
)
select
    source,
    thread_id,
    run_id,
    step_index,
    step_id,
    type,
    prompt_tokens,
    growth_tokens,
    cached_tokens,
    round(cost_usd, 6) as cost_usd
from ranked_steps
where run_rank <= cast($runs as bigint)
order by run_rank, step_index, step_id;
