-- Whether all steps of a run are here, and how that is known.
-- grain: source, thread_id, run_id
-- units: tokens as the server counted them; instants are UTC
-- reads: runs, run_steps, walks, cut_lists
-- state: list_cut (an archive has a page of its steps that says there are more, and they are not here), run_missing (steps without a run), open (the run can still change), steps_missing (terminal, but no walk over its
-- steps was complete after that, and no import brought steps that can be compared with the run's usage: the run tells none, or both
-- tell 0), no_usage (the run has no usage to compare), usage_differs (the steps add up to something
-- else than the run says), complete. The differences are the run's tokens minus the sum of its steps'.
create or replace view completeness as
with step_sums as (
    select
        source,
        thread_id,
        run_id,
        count(*) as steps,
        -- Sums are wider than bigint here, so that absurd usage is told and breaks nothing.
        sum(prompt_tokens) as prompt_tokens,
        sum(completion_tokens) as completion_tokens,
        sum(coalesce(total_tokens, cast(prompt_tokens as hugeint) + completion_tokens)) as total_tokens
    from run_steps
    group by source, thread_id, run_id
),
step_walks as (
    select
        source,
        thread_id,
        run_id,
        count(*) as walks,
        arg_max(verdict, (ended_at, walk_id)) as walk_verdict,
        max(ended_at) as walked_at,
        bool_or(verdict = 'imported') as is_imported,
        bool_or(
            -- An imported walk ends only where a recording shows the list from its start to its end.
            (verdict = 'complete' or (verdict = 'imported' and ended_by = 'has_more_false'))
            and run_status in ('completed', 'failed', 'cancelled', 'expired', 'incomplete')
        ) as is_walked_when_terminal
    from walks
    where resource = 'steps'
    group by source, thread_id, run_id
),
comparisons as (
    select
        coalesce(runs.source, step_sums.source) as source,
        coalesce(runs.thread_id, step_sums.thread_id) as thread_id,
        coalesce(runs.run_id, step_sums.run_id) as run_id,
        runs.run_id is not null as has_run,
        runs.status,
        runs.sealed,
        -- A run without a row of sums has no steps, and nothing adds up to 0.
        coalesce(step_sums.steps, 0) as steps,
        coalesce(step_sums.prompt_tokens, 0) as step_prompt_tokens,
        coalesce(step_sums.completion_tokens, 0) as step_completion_tokens,
        coalesce(step_sums.total_tokens, 0) as step_total_tokens,
        runs.prompt_tokens as run_prompt_tokens,
        runs.completion_tokens as run_completion_tokens,
        coalesce(
            runs.total_tokens,
            cast(runs.prompt_tokens as hugeint) + runs.completion_tokens
        ) as run_total_tokens
    from runs
    full join step_sums
        on step_sums.source = runs.source
        and step_sums.thread_id = runs.thread_id
        and step_sums.run_id = runs.run_id
),
differences as (
    select
        source,
        thread_id,
        run_id,
        has_run,
        status,
        sealed,
        steps,
        step_prompt_tokens,
        step_completion_tokens,
        step_total_tokens,
        run_prompt_tokens,
        run_completion_tokens,
        run_total_tokens,
        run_prompt_tokens - step_prompt_tokens as prompt_tokens_difference,
        run_completion_tokens - step_completion_tokens as completion_tokens_difference,
        run_total_tokens - step_total_tokens as total_tokens_difference
    from comparisons
)
select
    differences.source,
    differences.thread_id,
    differences.run_id,
    differences.status,
    differences.sealed,
    differences.steps,
    coalesce(step_walks.walks, 0) as step_walks,
    step_walks.walk_verdict,
    step_walks.walked_at,
    try_cast(differences.step_prompt_tokens as bigint) as step_prompt_tokens,
    differences.run_prompt_tokens,
    try_cast(differences.prompt_tokens_difference as bigint) as prompt_tokens_difference,
    try_cast(differences.step_completion_tokens as bigint) as step_completion_tokens,
    differences.run_completion_tokens,
    try_cast(differences.completion_tokens_difference as bigint) as completion_tokens_difference,
    try_cast(differences.step_total_tokens as bigint) as step_total_tokens,
    try_cast(differences.run_total_tokens as bigint) as run_total_tokens,
    try_cast(differences.total_tokens_difference as bigint) as total_tokens_difference,
    case
        when
            (differences.source, differences.thread_id, differences.run_id) in (
                select (source, thread_id, run_id) from cut_lists where resource = 'steps'
            )
        then 'list_cut'
        when not differences.has_run then 'run_missing'
        when differences.status in ('completed', 'failed', 'cancelled', 'expired', 'incomplete') is not true
        then 'open'
        when
            not coalesce(step_walks.is_walked_when_terminal, false)
            -- Steps from archives are complete where they add up to what the run says; else nothing tells.
            and not (
                coalesce(step_walks.is_imported, false)
                and coalesce(
                    coalesce(
                        differences.run_total_tokens,
                        differences.run_prompt_tokens,
                        differences.run_completion_tokens
                    ) + differences.step_total_tokens > 0,
                    false
                )
            )
        then 'steps_missing'
        when
            differences.run_prompt_tokens is null
            and differences.run_completion_tokens is null
            and differences.run_total_tokens is null
        then 'no_usage'
        when
            differences.prompt_tokens_difference <> 0
            or differences.completion_tokens_difference <> 0
            or differences.total_tokens_difference <> 0
        then 'usage_differs'
        else 'complete'
    end as state
from differences
left join step_walks
    on step_walks.source = differences.source
    and step_walks.thread_id = differences.thread_id
    and step_walks.run_id = differences.run_id;
