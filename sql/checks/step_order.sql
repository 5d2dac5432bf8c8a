-- Runs whose steps are not numbered from 0 without a gap or a double: a page is missing or came twice.
-- severity: fail
-- reads: run_steps
select
    source,
    thread_id,
    run_id,
    count(*) as steps,
    count(distinct step_index) as step_indexes,
    min(step_index) as first_step_index,
    max(step_index) as last_step_index
from run_steps
group by source, thread_id, run_id
having
    min(step_index) <> 0
    or max(step_index) <> count(*) - 1
    or count(distinct step_index) <> count(*)
order by source, thread_id, run_id;
