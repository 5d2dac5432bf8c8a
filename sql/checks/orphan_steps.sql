-- Runs whose steps are here but which are not in the warehouse themselves.
-- severity: warn
-- reads: completeness
select source, run_id, thread_id, steps, state
from completeness
where state = 'run_missing'
order by source, run_id;
