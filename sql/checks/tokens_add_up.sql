-- Usage whose total is not prompt plus completion, or whose details are more than the whole they are part of.
-- severity: warn
-- reads: run_steps, runs
with usages as (
    select
        'step' as record,
        source,
        thread_id,
        run_id,
        step_id as id,
        prompt_tokens,
        cached_tokens,
        completion_tokens,
        reasoning_tokens,
        total_tokens
    from run_steps
    union all
    select
        'run',
        source,
        thread_id,
        run_id,
        run_id,
        prompt_tokens,
        cached_tokens,
        completion_tokens,
        reasoning_tokens,
        total_tokens
    from runs
)
select
    record,
    source,
    thread_id,
    run_id,
    id,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    reasoning_tokens,
    total_tokens
from usages
where
    total_tokens <> cast(prompt_tokens as hugeint) + completion_tokens
    or cached_tokens > prompt_tokens
    or reasoning_tokens > completion_tokens
order by source, thread_id, run_id, record, id;
