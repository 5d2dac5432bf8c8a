-- Runs in the scope of a report, with the state of their steps, whose they are and what they spent in it.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals
-- params: source, since, until, key
-- reads: completeness, run_costs, runs, report_spending
-- A run is of the days on which something was spent on it, and so may be of two periods: its money is of one, step by step. A run
-- on which nothing was spent is of the day on which it was created. customer is the value of a key of its metadata.
create temp table report_runs as
with run_sums as (
    select
        source,
        thread_id,
        run_id,
        sum(total_tokens) as total_tokens,
        sum(cost_usd) as cost_usd,
        sum(spent_usd) as spent_usd
    from report_spending
    group by source, thread_id, run_id
)
select
    completeness.source,
    completeness.thread_id,
    completeness.run_id,
    completeness.status,
    completeness.state,
    completeness.steps,
    case
        when $key is not null
        then
            json_extract_string(
                runs.metadata, '$."' || replace(replace(cast($key as varchar), '\', '\\'), '"', '\"') || '"'
            )
    end as customer,
    try_cast(run_sums.total_tokens as bigint) as total_tokens,
    run_sums.cost_usd,
    run_sums.spent_usd
from completeness
left join runs
    on runs.source = completeness.source
    and runs.thread_id = completeness.thread_id
    and runs.run_id = completeness.run_id
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
        run_sums.run_id is not null
        or (
            ($since is null or cast(run_costs.created_at at time zone 'UTC' as date) >= cast($since as date))
            and ($until is null or cast(run_costs.created_at at time zone 'UTC' as date) <= cast($until as date))
        )
    );
