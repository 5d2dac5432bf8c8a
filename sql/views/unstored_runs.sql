-- Runs whose costs are worked out where they are asked for, as they are not stored: open runs, and what no load has seen to.
-- grain: source, thread_id, run_id
-- units: as in runs, whose columns these are
-- reads: runs, stored_runs
create or replace view unstored_runs as
select columns(runs.*)
from runs
anti join stored_runs
    on stored_runs.source = runs.source
    and stored_runs.thread_id = runs.thread_id
    and stored_runs.run_id = runs.run_id;
