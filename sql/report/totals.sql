-- The figures at the head of a report.
-- grain: one row
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; days are UTC dates
-- reads: report_spending, report_runs
-- fee_usd stands beside the cost of tokens, never in it; unattributed_cost_usd is the part of it that no step tells.
select
    (select count(*) from report_runs) as runs,
    count(*) filter (where kind = 'step') as steps,
    count(cost_usd) filter (where kind = 'step') as priced_steps,
    count(*) filter (where kind = 'step' and is_unpriced) as unpriced_steps,
    count(*) filter (where kind = 'run_rest' and cost_usd is null) as unpriced_rests,
    min(created_on) as first_day,
    max(created_on) as last_day,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    sum(unattributed_cost_usd) as unattributed_cost_usd,
    sum(fee_usd) as fee_usd,
    count(*) filter (where kind = 'fee' and fee_usd is null) as unknown_fees,
    sum(cost_usd) as cost_usd
from report_spending;
