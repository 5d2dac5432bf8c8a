-- Usage of sealed runs that is not in the ledger: its cost would follow the price book. A rest of a run has no step_id.
-- severity: fail
-- reads: usage_costs, runs
select usage_costs.source, usage_costs.thread_id, usage_costs.run_id, usage_costs.step_id
from usage_costs
inner join runs
    on runs.source = usage_costs.source
    and runs.thread_id = usage_costs.thread_id
    and runs.run_id = usage_costs.run_id
where runs.sealed and not usage_costs.is_posted
order by usage_costs.source, usage_costs.thread_id, usage_costs.run_id, usage_costs.step_id;
