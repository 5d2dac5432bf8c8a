-- Runs that were paid for and came to nothing.
-- grain: status, reason
-- units: US dollars, exact to 12 decimals
-- reads: unfinished_run_costs, report_runs
select
    unfinished_run_costs.status,
    coalesce(unfinished_run_costs.last_error_code, unfinished_run_costs.incomplete_reason) as reason,
    count(*) as runs,
    try_cast(sum(unfinished_run_costs.total_tokens) as bigint) as total_tokens,
    sum(unfinished_run_costs.cost_usd) as cost_usd
from unfinished_run_costs
semi join report_runs
    on report_runs.source = unfinished_run_costs.source
    and report_runs.thread_id = unfinished_run_costs.thread_id
    and report_runs.run_id = unfinished_run_costs.run_id
group by unfinished_run_costs.status, reason
order by cost_usd desc nulls last, unfinished_run_costs.status, reason;
