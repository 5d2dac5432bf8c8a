-- Runs that were paid for and came to nothing.
-- grain: status, reason
-- units: US dollars, exact to 12 decimals
-- reads: unfinished_run_costs, report_runs
select
    unfinished_run_costs.status,
    coalesce(unfinished_run_costs.last_error_code, unfinished_run_costs.incomplete_reason) as reason,
    count(*) as runs,
    try_cast(sum(report_runs.total_tokens) as bigint) as total_tokens,
    sum(report_runs.cost_usd) as cost_usd
from unfinished_run_costs
inner join report_runs
    on report_runs.source = unfinished_run_costs.source
    and report_runs.thread_id = unfinished_run_costs.thread_id
    and report_runs.run_id = unfinished_run_costs.run_id
group by unfinished_run_costs.status, reason
order by cost_usd desc nulls last, unfinished_run_costs.status, reason;
