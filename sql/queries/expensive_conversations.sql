-- The dearest conversations: threads, sessions, and responses that go on from one another as one.
-- units: US dollars rounded to 6 decimals; fees of tools stand beside the cost, not in it
-- params: limit=20
-- reads: run_costs, runs, run_chains
-- thread_id is the thread that it began in; threads counts those that belong to it: a response without a conversation is a
-- thread of its own. begins_earlier: its first response names one before it that is not here.
select
    run_costs.source,
    coalesce(run_chains.root_thread_id, run_costs.thread_id) as thread_id,
    any_value(runs.protocol) as protocol,
    round(sum(run_costs.cost_usd), 6) as cost_usd,
    round(sum(run_costs.fee_usd), 6) as fee_usd,
    count(*) as runs,
    count(distinct run_costs.thread_id) as threads,
    try_cast(sum(run_costs.total_tokens) as bigint) as total_tokens,
    min(run_costs.created_at) as first_run_at,
    max(run_costs.created_at) as last_run_at,
    coalesce(bool_or(run_chains.is_cut), false) as begins_earlier,
    cast(sum(run_costs.unpriced_steps) as bigint) as unpriced_steps,
    cast(sum(run_costs.unpriced_rests) as bigint) as unpriced_rests
from run_costs
left join runs
    on runs.source = run_costs.source
    and runs.thread_id = run_costs.thread_id
    and runs.run_id = run_costs.run_id
left join run_chains
    on run_chains.source = run_costs.source
    and run_chains.thread_id = run_costs.thread_id
    and run_chains.run_id = run_costs.run_id
group by run_costs.source, coalesce(run_chains.root_thread_id, run_costs.thread_id)
order by sum(run_costs.cost_usd) desc nulls last, run_costs.source, thread_id
limit cast($limit as bigint);
