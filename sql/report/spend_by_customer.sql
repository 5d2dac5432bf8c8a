-- Spend by the value of a key of the runs' metadata; null for runs without it.
-- grain: customer
-- units: US dollars, exact to 12 decimals; share from 0 to 1
-- reads: report_spending, report_runs
select
    report_runs.customer,
    sum(report_spending.spent_usd) as spent_usd,
    sum(report_spending.spent_usd) / nullif(sum(sum(report_spending.spent_usd)) over (), 0) as share,
    sum(report_spending.fee_usd) as fee_usd,
    count(distinct (report_spending.source, report_spending.thread_id, report_spending.run_id)) as runs,
    cast(sum(report_spending.spent_usd) / nullif(count(distinct (report_spending.source, report_spending.thread_id, report_spending.run_id)), 0) as decimal(38, 6)) as run_usd,
    try_cast(sum(report_spending.total_tokens) as bigint) as total_tokens,
    try_cast(sum(report_spending.total_tokens) filter (where report_spending.unpriced_reason is not null) as bigint) as unpriced_tokens
from report_spending
left join report_runs
    on report_runs.source = report_spending.source
    and report_runs.thread_id = report_spending.thread_id
    and report_runs.run_id = report_spending.run_id
group by report_runs.customer
order by spent_usd desc nulls last, runs desc, report_runs.customer;
