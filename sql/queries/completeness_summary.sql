-- How many runs are proven complete, and what the others lack.
-- units: runs and steps
-- total: runs, steps, sealed_runs
-- share: runs
-- reads: completeness
select
    source,
    state,
    count(*) as runs,
    cast(sum(steps) as bigint) as steps,
    count(*) filter (where sealed) as sealed_runs
from completeness
group by source, state
order by source, runs desc, state;
