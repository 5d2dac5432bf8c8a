-- The dearest one per cent of each source's runs, at least one.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals; cost_rank from 1, the dearest; created_on is a UTC date
-- reads: run_costs
-- One per cent of the runs whose cost is known and above 0 (priced_runs), rounded up. cost_share is the run's part of
-- the source's whole cost, from 0 to 1.
create or replace view heaviest_runs as
select
    source,
    thread_id,
    run_id,
    assistant_id,
    model,
    status,
    created_at,
    created_on,
    row_number() over (partition by source order by cost_usd desc, thread_id, run_id) as cost_rank,
    count(*) over (partition by source) as priced_runs,
    steps,
    unpriced_steps,
    unpriced_rests,
    prompt_tokens,
    completion_tokens,
    total_tokens,
    cost_usd,
    cost_usd / sum(cost_usd) over (partition by source) as cost_share
from run_costs
where cost_usd > 0
qualify cost_rank <= (priced_runs + 99) // 100;
