-- Runs in the scope of a report, with the state of their steps and what they spent in it.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals
-- params: source, since
-- reads: completeness, run_costs, report_spending
-- A run is of the days on which something was spent on it, and so may be of two periods: its money is of one, step by step. A run
-- on which nothing was spent is of the day on which it was created.
create temp table report_runs as
with run_sums as (
    select source, thread_id, run_id, sum(total_tokens) as total_tokens, sum(cost_usd) as cost_usd
    from report_spending
    group by source, thread_id, run_id
)
select
    completeness.source,
    completeness.thread_id,
    completeness.run_id,
    completeness.state,
    completeness.steps,
    try_cast(run_sums.total_tokens as bigint) as total_tokens,
    run_sums.cost_usd
from completeness
left join run_costs
    on run_costs.source = completeness.source
    and run_costs.thread_id = completeness.thread_id
    and run_costs.run_id = completeness.run_id
left join run_sums
    on run_sums.source = completeness.source
    and run_sums.thread_id = completeness.thread_id
    and run_sums.run_id = completeness.run_id
where
    ($source is null or completeness.source = $source)
    and (
        $since is null
        or run_sums.run_id is not null
        or cast(run_costs.created_at at time zone 'UTC' as date) >= cast($since as date)
    );
