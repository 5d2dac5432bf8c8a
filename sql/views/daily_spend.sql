-- Spend by UTC day, assistant and model.
-- grain: source, day, assistant_id, model
-- units: US dollars, exact to 12 decimals; day is the UTC date of the steps and fees
-- reads: spending
-- What a run used beyond its steps (unattributed) is of the run's day. A run that crosses midnight counts on both days; money and tokens count once. Fees stand beside the cost, never in it. cached_share is the part of the prompt
-- tokens that came from the cache, from 0 to 1 (null: no cache detail was sent).
create or replace view daily_spend as
select
    source,
    created_on as day,
    assistant_id,
    model,
    count(distinct (thread_id, run_id)) filter (where kind <> 'fee') as runs,
    count(*) filter (where kind = 'step') as steps,
    count(cost_usd) filter (where kind = 'step') as priced_steps,
    count(*) filter (where kind = 'step' and is_unpriced) as unpriced_steps,
    count(*) filter (where kind = 'run_rest' and cost_usd is null) as unpriced_rests,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(reasoning_tokens) as bigint) as reasoning_tokens,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    sum(cached_tokens) / nullif(sum(prompt_tokens), 0) as cached_share,
    sum(input_cost_usd) as input_cost_usd,
    sum(cached_cost_usd) as cached_cost_usd,
    sum(output_cost_usd) as output_cost_usd,
    sum(cost_usd) as cost_usd,
    try_cast(sum(unattributed_tokens) as bigint) as unattributed_tokens,
    sum(unattributed_cost_usd) as unattributed_cost_usd,
    cast(sum(fee_usd) as decimal(38, 12)) as fee_usd,
    count(*) filter (where kind = 'fee' and fee_usd is null) as unknown_fees
from spending
group by source, created_on, assistant_id, model;
