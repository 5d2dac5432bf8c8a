-- Runs whose id no other thread of their source has: what is meant where a run is named without its thread.
-- grain: source, run_id
-- units: ids
-- reads: runs
create or replace view lone_runs as
select source, run_id, min(thread_id) as thread_id
from runs
group by source, run_id
having count(*) = 1;
