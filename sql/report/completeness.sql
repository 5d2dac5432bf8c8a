-- Runs by the state of their steps.
-- grain: source, state
-- reads: report_runs
select
    source,
    state,
    count(*) as runs,
    cast(sum(steps) as bigint) as steps
from report_runs
group by source, state
order by source, runs desc, state;
