-- The figures at the head of a report.
-- grain: one row
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; days are UTC dates
-- reads: report_spending, report_runs
-- spent_usd is cost_usd (tokens) and fee_usd (tools) together. What is unpriced is in none of them.
select
    (select count(*) from report_runs) as runs,
    count(*) filter (where kind = 'step') as steps,
    min(created_on) as first_day,
    max(created_on) as last_day,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    sum(spent_usd) as spent_usd,
    sum(cost_usd) as cost_usd,
    sum(fee_usd) as fee_usd,
    count(*) filter (where kind = 'step' and unpriced_reason is not null) as unpriced_steps,
    count(*) filter (where kind = 'run_rest' and unpriced_reason is not null) as unpriced_rests,
    try_cast(sum(total_tokens) filter (where unpriced_reason is not null) as bigint) as unpriced_tokens,
    count(*) filter (where kind = 'fee' and fee_usd is null) as unknown_fees
from report_spending;
