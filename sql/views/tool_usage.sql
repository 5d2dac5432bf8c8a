-- How each tool is used: how often, in how many runs, how often it fails, how long it takes, what it costs.
-- grain: source, type, name
-- units: seconds of the step, as the server tells time in whole seconds; US dollars, exact to 12 decimals; bytes
-- reads: tool_call_costs, tool_failures, run_steps, run_costs
-- run_share is the part of the source's runs that used the tool, from 0 to 1. Durations count each step once, whatever
-- the number of its calls. cost_usd sums the calls whose cost is known: unpriced_calls have none.
create or replace view tool_usage as
with tool_steps as (
    select
        tool_call_costs.source,
        tool_call_costs.type,
        tool_call_costs.name,
        tool_call_costs.step_id,
        tool_call_costs.run_id,
        tool_call_costs.thread_id,
        count(*) as calls,
        count(tool_call_costs.cost_usd) as priced_calls,
        count(tool_failures.reason) as failures,
        sum(tool_call_costs.cost_usd) as cost_usd,
        sum(tool_call_costs.arguments_bytes) as arguments_bytes,
        sum(tool_call_costs.output_bytes) as output_bytes
    from tool_call_costs
    left join tool_failures
        on tool_failures.source = tool_call_costs.source
        and tool_failures.step_id = tool_call_costs.step_id
        and tool_failures.call_index = tool_call_costs.call_index
    group by
        tool_call_costs.source,
        tool_call_costs.type,
        tool_call_costs.name,
        tool_call_costs.step_id,
        tool_call_costs.run_id,
        tool_call_costs.thread_id
),
step_durations as (
    select
        source,
        step_id,
        epoch(coalesce(completed_at, failed_at, expired_at, cancelled_at)) - epoch(created_at) as duration_s
    from run_steps
),
source_runs as (
    select source, count(*) as runs
    from run_costs
    group by source
)
select
    tool_steps.source,
    tool_steps.type,
    tool_steps.name,
    cast(sum(tool_steps.calls) as bigint) as calls,
    count(*) as steps,
    count(distinct tool_steps.run_id) as runs,
    count(distinct tool_steps.thread_id) as threads,
    count(distinct tool_steps.run_id) / nullif(source_runs.runs, 0) as run_share,
    cast(sum(tool_steps.failures) as bigint) as failures,
    quantile_cont(step_durations.duration_s, 0.5) as p50_duration_s,
    quantile_cont(step_durations.duration_s, 0.95) as p95_duration_s,
    cast(sum(tool_steps.arguments_bytes) as bigint) as arguments_bytes,
    cast(sum(tool_steps.output_bytes) as bigint) as output_bytes,
    cast(sum(tool_steps.calls - tool_steps.priced_calls) as bigint) as unpriced_calls,
    sum(tool_steps.cost_usd) as cost_usd
from tool_steps
left join step_durations
    on step_durations.source = tool_steps.source and step_durations.step_id = tool_steps.step_id
left join source_runs on source_runs.source = tool_steps.source
group by tool_steps.source, tool_steps.type, tool_steps.name, source_runs.runs;
