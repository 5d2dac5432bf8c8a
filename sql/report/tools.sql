-- Tools: calls, failures, durations and cost. Durations count each step once.
-- grain: type, name
-- units: seconds; US dollars, exact to 12 decimals
-- reads: report_calls
with tool_steps as (
    select
        type,
        name,
        source,
        thread_id,
        run_id,
        step_id,
        count(*) as calls,
        count(failure) as failures,
        count(cost_usd) as priced_calls,
        any_value(duration_s) as duration_s,
        sum(cost_usd) as cost_usd
    from report_calls
    group by type, name, source, thread_id, run_id, step_id
)
select
    name,
    type,
    cast(sum(calls) as bigint) as calls,
    count(distinct (source, thread_id, run_id)) as runs,
    cast(sum(failures) as bigint) as failures,
    sum(failures) / sum(calls) as failure_share,
    quantile_cont(duration_s, 0.5) as p50_duration_s,
    quantile_cont(duration_s, 0.95) as p95_duration_s,
    cast(sum(calls - priced_calls) as bigint) as unpriced_calls,
    sum(cost_usd) as cost_usd
from tool_steps
group by name, type
order by calls desc, name, type;
