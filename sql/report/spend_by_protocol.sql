-- Spend by protocol, where there is more than one: what came before a move, and what came after it.
-- grain: protocol
-- units: US dollars, exact to 12 decimals; shares from 0 to 1; first_day and last_day are UTC dates
-- reads: report_spending, runs
select
    runs.protocol,
    min(report_spending.created_on) as first_day,
    max(report_spending.created_on) as last_day,
    sum(report_spending.spent_usd) as spent_usd,
    sum(report_spending.spent_usd) / nullif(sum(sum(report_spending.spent_usd)) over (), 0) as share,
    sum(report_spending.fee_usd) as fee_usd,
    count(distinct (report_spending.source, report_spending.thread_id, report_spending.run_id)) as runs,
    cast(
        sum(report_spending.spent_usd)
        / nullif(count(distinct (report_spending.source, report_spending.thread_id, report_spending.run_id)), 0) as decimal(38, 6)
    ) as run_usd,
    try_cast(sum(report_spending.total_tokens) as bigint) as total_tokens,
    try_cast(
        sum(report_spending.total_tokens) filter (where report_spending.unpriced_reason is not null) as bigint
    ) as unpriced_tokens
from report_spending
left join runs
    on runs.source = report_spending.source
    and runs.thread_id = report_spending.thread_id
    and runs.run_id = report_spending.run_id
group by runs.protocol
qualify count(*) over () > 1
order by first_day, runs.protocol;
