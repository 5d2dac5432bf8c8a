-- Runs whose steps are here but which are not in the warehouse themselves.
-- severity: warn
-- reads: completeness
select source, thread_id, run_id, steps, state
from completeness
where state = 'run_missing'
order by source, thread_id, run_id;
