-- Spend on runs that came to nothing: expired, failed, cancelled, incomplete.
-- units: US dollars rounded to 6 decimals
-- total: cost_usd, runs, total_tokens
-- share: cost_usd
-- reads: unfinished_run_costs
select
    source,
    status,
    coalesce(last_error_code, incomplete_reason) as reason,
    count(*) as runs,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    round(sum(cost_usd), 6) as cost_usd
from unfinished_run_costs
group by source, status, reason
order by cost_usd desc nulls last, source, status, reason;
