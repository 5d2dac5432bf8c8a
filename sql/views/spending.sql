-- Everything that was spent: what all usage cost, and the fees of tools beside it.
-- grain: kind, source, thread_id, run_id, step_id, fee_kind, created_on
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; created_on is a UTC date
-- reads: usage_costs, tool_fees, runs
-- kind: step, run_rest (usage beyond the steps, see usage_costs) or fee. fee_usd is never in cost_usd. What is not known is
-- null: unpriced_reason says why tokens have no cost, and a fee without fee_usd is one that nobody knows.
create or replace view spending as
select
    kind,
    source,
    thread_id,
    run_id,
    step_id,
    null as fee_kind,
    assistant_id,
    model,
    price_id,
    created_on,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    reasoning_tokens,
    total_tokens,
    input_cost_usd,
    cached_cost_usd,
    output_cost_usd,
    cost_usd,
    is_unpriced,
    unpriced_reason,
    case when kind = 'run_rest' then cost_usd end as unattributed_cost_usd,
    case when kind = 'run_rest' then coalesce(total_tokens, cast(prompt_tokens as hugeint) + completion_tokens) end as unattributed_tokens,
    null as fee_usd
from usage_costs
union all by name
select
    'fee' as kind,
    tool_fees.source,
    tool_fees.thread_id,
    tool_fees.run_id,
    tool_fees.kind as fee_kind,
    runs.assistant_id,
    runs.model,
    tool_fees.charged_on as created_on,
    tool_fees.fee_usd
from tool_fees
left join runs
    on runs.source = tool_fees.source
    and runs.thread_id = tool_fees.thread_id
    and runs.run_id = tool_fees.run_id;
