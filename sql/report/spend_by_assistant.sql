-- Spend by assistant, with the name by which another assistant called it where one did.
-- grain: source, assistant_id
-- units: US dollars, exact to 12 decimals; share from 0 to 1
-- reads: report_spending, tool_calls
with assistant_names as (
    select source, payload ->> '$.connected_agent.assistant_id' as assistant_id, min(name) as name
    from tool_calls
    where type = 'connected_agent' and payload is not null
    group by all
),
spend as (
    select
        source,
        assistant_id,
        sum(spent_usd) as spent_usd,
        sum(fee_usd) as fee_usd,
        count(distinct (thread_id, run_id)) as runs,
        try_cast(sum(total_tokens) as bigint) as total_tokens,
        try_cast(sum(total_tokens) filter (where unpriced_reason is not null) as bigint) as unpriced_tokens
    from report_spending
    group by source, assistant_id
)
select
    spend.source,
    spend.assistant_id,
    assistant_names.name,
    spend.spent_usd,
    spend.spent_usd / nullif(sum(spend.spent_usd) over (), 0) as share,
    spend.fee_usd,
    spend.runs,
    cast(spend.spent_usd / nullif(spend.runs, 0) as decimal(38, 6)) as run_usd,
    spend.total_tokens,
    spend.unpriced_tokens
from spend
left join assistant_names
    on assistant_names.source = spend.source and assistant_names.assistant_id = spend.assistant_id
order by spend.spent_usd desc nulls last, spend.runs desc, spend.source, spend.assistant_id;
