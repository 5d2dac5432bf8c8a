-- Spend by the value of a key in the runs' metadata, for example the customer.
-- units: US dollars rounded to 6 decimals
-- params: key=customer, limit=50
-- total: cost_usd, fee_usd, runs, unpriced_steps, unpriced_rests, total_tokens
-- share: cost_usd
-- reads: runs, run_costs
with keyed_runs as (
    select
        source,
        thread_id,
        run_id,
        json_extract_string(metadata, '$."' || replace(cast($key as varchar), '"', '\"') || '"') as value
    from runs
)
select
    run_costs.source,
    keyed_runs.value,
    round(sum(run_costs.cost_usd), 6) as cost_usd,
    round(sum(run_costs.fee_usd), 6) as fee_usd,
    count(*) as runs,
    count(distinct run_costs.thread_id) as threads,
    try_cast(sum(run_costs.total_tokens) as bigint) as total_tokens,
    cast(sum(run_costs.unpriced_steps) as bigint) as unpriced_steps,
    cast(sum(run_costs.unpriced_rests) as bigint) as unpriced_rests
from run_costs
left join keyed_runs
    on keyed_runs.source = run_costs.source
    and keyed_runs.thread_id = run_costs.thread_id
    and keyed_runs.run_id = run_costs.run_id
group by run_costs.source, keyed_runs.value
order by cost_usd desc nulls last, run_costs.source, keyed_runs.value
limit cast($limit as bigint);
