-- Usage below zero.
-- severity: fail
-- reads: run_steps, runs
with usages as (
    select
        'step' as record,
        source,
        thread_id,
        run_id,
        step_id as id,
        least(prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, total_tokens) as least_tokens
    from run_steps
    union all
    select
        'run',
        source,
        thread_id,
        run_id,
        run_id,
        least(prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, total_tokens)
    from runs
)
select record, source, thread_id, run_id, id, least_tokens
from usages
where least_tokens < 0
order by source, thread_id, run_id, record, id;
