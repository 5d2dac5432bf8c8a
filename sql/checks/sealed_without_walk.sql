-- Sealed runs without a complete walk over their steps: a seal that nothing proves.
-- severity: fail
-- reads: completeness
select source, run_id, thread_id, status, steps, step_walks, walk_verdict, state
from completeness
where sealed and state in ('open', 'steps_missing')
order by source, run_id;
