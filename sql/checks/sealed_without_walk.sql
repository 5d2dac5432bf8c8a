-- Sealed runs without a complete walk over their steps: a seal that nothing proves.
-- severity: fail
-- reads: completeness
select source, thread_id, run_id, status, steps, step_walks, walk_verdict, state
from completeness
where sealed and state in ('open', 'steps_missing')
order by source, thread_id, run_id;
