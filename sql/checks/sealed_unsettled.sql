-- Runs that were sealed as they were once settle_after had passed: without usage, with an open step, or with another usage than their steps'.
-- severity: warn
-- reads: runs, walks, run_steps, completeness
-- state: as in completeness; open_steps have not ended. A `sync --full` asks for such a run again.
with newest_walks as (
    select source, thread_id, run_id, is_settled
    from walks
    where resource = 'steps' and verdict = 'complete'
    qualify row_number() over (partition by source, thread_id, run_id order by started_at desc, walk_id desc) = 1
),
unsettled as (
    select source, thread_id, run_id
    from newest_walks
    semi join (select source, thread_id, run_id from runs where sealed) as sealed using (source, thread_id, run_id)
    where not is_settled
),
open_steps as (
    select source, thread_id, run_id, count(*) as steps
    from run_steps
    semi join unsettled using (source, thread_id, run_id)
    where status = 'in_progress'
    group by source, thread_id, run_id
)
select
    unsettled.thread_id,
    unsettled.run_id,
    unsettled.source,
    completeness.status,
    completeness.state,
    coalesce(open_steps.steps, 0) as open_steps,
    completeness.run_total_tokens,
    completeness.step_total_tokens
from unsettled
inner join completeness
    on completeness.source = unsettled.source
    and completeness.thread_id = unsettled.thread_id
    and completeness.run_id = unsettled.run_id
left join open_steps
    on open_steps.source = unsettled.source
    and open_steps.thread_id = unsettled.thread_id
    and open_steps.run_id = unsettled.run_id
order by unsettled.source, unsettled.thread_id, unsettled.run_id;
