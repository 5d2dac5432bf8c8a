-- Rows of the ledger whose cost is not what their price makes of the tokens of the step or rest.
-- severity: fail
-- reads: cost_ledger, usage_costs
select
    cost_ledger.source,
    cost_ledger.thread_id,
    cost_ledger.run_id,
    cost_ledger.step_id,
    cost_ledger.price_id,
    cost_ledger.cost_usd as ledger_cost_usd,
    usage_costs.cost_usd
from cost_ledger
left join usage_costs
    on usage_costs.source = cost_ledger.source
    and usage_costs.thread_id = cost_ledger.thread_id
    and usage_costs.run_id = cost_ledger.run_id
    and usage_costs.step_id = cost_ledger.step_id
where
    usage_costs.step_id is null
    or cost_ledger.cost_usd is distinct from usage_costs.cost_usd
    or cost_ledger.price_id is distinct from usage_costs.price_id
order by cost_ledger.source, cost_ledger.thread_id, cost_ledger.run_id, cost_ledger.step_id;
