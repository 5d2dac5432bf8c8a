-- Runs whose stored costs are not what their steps and the ledger make them: `load --rebuild` stores them anew.
-- severity: fail
-- reads: stored_runs, stored_costs, runs, run_steps, prices, price_discounts, model_names, source_providers, cost_ledger
with both_rows as (
    select columns(*), 1 as side
    from stored_costs
    union all by name
    select columns(costs.*), -1 as side
    from worked_costs('runs', 'run_steps') as costs
    semi join stored_runs
        on stored_runs.source = costs.source
        and stored_runs.thread_id = costs.thread_id
        and stored_runs.run_id = costs.run_id
),
digests as (
    select source, thread_id, run_id, side, cast(hash(*columns(* exclude (side))) as hugeint) as digest
    from both_rows
)
select source, thread_id, run_id, sum(side) as rows_too_many
from digests
group by source, thread_id, run_id
having sum(side * digest) <> 0
order by source, thread_id, run_id;
