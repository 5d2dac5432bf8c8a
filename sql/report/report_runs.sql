-- Runs in the scope of a report, with the state of their steps.
-- grain: source, thread_id, run_id
-- units: created_on is a UTC date
-- params: source, since
-- reads: completeness, run_costs
create temp table report_runs as
select
    completeness.source,
    completeness.thread_id,
    completeness.run_id,
    completeness.state,
    completeness.steps,
    cast(run_costs.created_at at time zone 'UTC' as date) as created_on
from completeness
left join run_costs
    on run_costs.source = completeness.source
    and run_costs.thread_id = completeness.thread_id
    and run_costs.run_id = completeness.run_id
where
    ($source is null or completeness.source = $source)
    and ($since is null or cast(run_costs.created_at at time zone 'UTC' as date) >= cast($since as date));
