-- Steps of runs whose costs are worked out where they are asked for, as they are not stored: open runs, and what no load has seen to.
-- grain: source, thread_id, run_id, step_id
-- units: as in run_steps, whose columns these are
-- reads: run_steps, stored_runs
-- Which these are is found by their ids alone: texts of stored runs are not read.
create or replace view unstored_steps as
with unstored as (
    select distinct run_steps.source, run_steps.thread_id, run_steps.run_id
    from run_steps
    anti join stored_runs
        on stored_runs.source = run_steps.source
        and stored_runs.thread_id = run_steps.thread_id
        and stored_runs.run_id = run_steps.run_id
)
select columns(run_steps.*)
from run_steps
semi join unstored
    on unstored.source = run_steps.source
    and unstored.thread_id = run_steps.thread_id
    and unstored.run_id = run_steps.run_id;
