-- Finished or imported runs whose steps do not add up to the run's own usage: steps are missing, or the server counts differently.
-- severity: fail
-- reads: completeness
select
    source,
    thread_id,
    run_id,
    status,
    steps,
    walk_verdict,
    step_prompt_tokens,
    run_prompt_tokens,
    step_completion_tokens,
    run_completion_tokens,
    step_total_tokens,
    run_total_tokens,
    total_tokens_difference
from completeness
where (sealed or walk_verdict = 'imported') and state = 'usage_differs'
order by source, thread_id, run_id;
