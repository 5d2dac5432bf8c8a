-- Spend by tool: the cost of the steps that called it, divided over their calls.
-- units: US dollars rounded to 6 decimals
-- params: limit=20
-- reads: tool_usage
select
    source,
    type,
    name,
    calls,
    unpriced_calls,
    runs,
    round(cost_usd, 6) as cost_usd
from tool_usage
order by tool_usage.cost_usd desc nulls last, calls desc, source, type, name
limit cast($limit as bigint);
