-- Spend by tool: the cost of the steps that called it, divided over their calls.
-- units: US dollars rounded to 6 decimals
-- params: limit=20
-- total: cost_usd, fee_usd, calls, unpriced_calls
-- share: cost_usd
-- reads: tool_usage, tool_fees
-- fee_usd stands beside the cost, on the row of the tool itself.
with fee_sums as (
    select source, regexp_replace(kind, '_[a-z]+$', '') as type, sum(fee_usd) as fee_usd
    from tool_fees
    group by source, type
)
select
    tool_usage.source,
    tool_usage.type,
    tool_usage.name,
    round(tool_usage.cost_usd, 6) as cost_usd,
    round(fee_sums.fee_usd, 6) as fee_usd,
    tool_usage.calls,
    tool_usage.runs,
    tool_usage.unpriced_calls
from tool_usage
left join fee_sums
    on fee_sums.source = tool_usage.source and fee_sums.type = tool_usage.type and tool_usage.name = tool_usage.type
order by tool_usage.cost_usd desc nulls last, tool_usage.calls desc, tool_usage.source, tool_usage.type, tool_usage.name
limit cast($limit as bigint);
