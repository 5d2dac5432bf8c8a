-- What the usage of runs cost whose costs are not stored, worked out; usage_costs has it beside what is stored.
-- grain: source, thread_id, run_id, step_id
-- units: as in usage_costs, whose columns these are
-- reads: unstored_runs, unstored_steps, prices, price_discounts, model_names, source_providers, cost_ledger
create or replace view unstored_costs as
select columns(*)
from worked_costs('unstored_runs', 'unstored_steps');
