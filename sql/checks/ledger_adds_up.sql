-- Rows of the ledger whose cost is not what their price makes of the step's tokens.
-- severity: fail
-- reads: cost_ledger, step_costs
select
    cost_ledger.source,
    cost_ledger.thread_id,
    cost_ledger.run_id,
    cost_ledger.step_id,
    cost_ledger.price_id,
    cost_ledger.cost_usd as ledger_cost_usd,
    step_costs.cost_usd
from cost_ledger
left join step_costs
    on step_costs.source = cost_ledger.source
    and step_costs.thread_id = cost_ledger.thread_id
    and step_costs.run_id = cost_ledger.run_id
    and step_costs.step_id = cost_ledger.step_id
where
    step_costs.step_id is null
    or cost_ledger.cost_usd is distinct from step_costs.cost_usd
    or cost_ledger.price_id is distinct from step_costs.price_id
order by cost_ledger.source, cost_ledger.thread_id, cost_ledger.run_id, cost_ledger.step_id;
