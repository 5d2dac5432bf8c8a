-- Usage above 1e15 tokens: no model counts so far, and such a step has no cost.
-- severity: warn
-- reads: run_steps, runs
with usages as (
    select
        'step' as record,
        source,
        thread_id,
        run_id,
        step_id as id,
        greatest(prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, total_tokens) as most_tokens
    from run_steps
    union all
    select
        'run',
        source,
        thread_id,
        run_id,
        run_id,
        greatest(prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, total_tokens)
    from runs
)
select record, source, thread_id, run_id, id, most_tokens
from usages
where most_tokens > 1000000000000000
order by source, thread_id, run_id, record, id;
