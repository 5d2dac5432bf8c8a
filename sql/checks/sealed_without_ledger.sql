-- Steps of sealed runs that are not in the ledger: their cost would follow the price book.
-- severity: fail
-- reads: run_steps, runs, cost_ledger
select run_steps.source, run_steps.thread_id, run_steps.run_id, run_steps.step_id
from run_steps
inner join runs
    on runs.source = run_steps.source
    and runs.thread_id = run_steps.thread_id
    and runs.run_id = run_steps.run_id
anti join cost_ledger
    on cost_ledger.source = run_steps.source
    and cost_ledger.thread_id = run_steps.thread_id
    and cost_ledger.run_id = run_steps.run_id
    and cost_ledger.step_id = run_steps.step_id
where runs.sealed
order by run_steps.source, run_steps.thread_id, run_steps.run_id, run_steps.step_id;
