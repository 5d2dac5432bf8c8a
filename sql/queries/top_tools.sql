-- The tools used most: calls, runs, failures, retries, durations, cost.
-- units: US dollars rounded to 6 decimals; seconds; bytes
-- params: limit=20
-- total: calls, failures, retries, cost_usd, output_bytes
-- share: calls
-- reads: tool_usage
select
    source,
    type,
    name,
    calls,
    failures,
    round(cost_usd, 6) as cost_usd,
    runs,
    round(run_share, 4) as run_share,
    retries,
    p50_duration_s,
    p95_duration_s,
    output_bytes
from tool_usage
order by calls desc, source, type, name
limit cast($limit as bigint);
