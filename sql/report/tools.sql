-- Tools: calls, failures and durations. Durations count each step once.
-- grain: type, name
-- units: seconds; failure_share from 0 to 1
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
        any_value(duration_s) as duration_s
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
    quantile_cont(duration_s, 0.95) as p95_duration_s
from tool_steps
group by name, type
order by failures desc, calls desc, name, type;
