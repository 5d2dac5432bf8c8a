-- How each tool is used: how often, in how many runs, how often it fails, how long it takes, what it costs.
-- grain: source, type, name
-- units: seconds of the step, as the server tells time in whole seconds; US dollars, exact to 12 decimals; bytes
-- reads: tool_call_costs, tool_failures, run_steps, run_costs
-- run_share is the part of the source's runs that used the tool, from 0 to 1. Durations count each step once, whatever
-- the number of its calls; the calls of a response or a turn have no time of their own. retries are calls of a tool whose last calls before, in an earlier step of the same run, failed: at
-- most as many as failed there. carried_cost_usd and child_cost_usd stand beside the cost (see tool_call_costs). cost_usd sums the calls whose cost is known: unpriced_calls have none.
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
        sum(tool_call_costs.output_bytes) as output_bytes,
        sum(tool_call_costs.carried_cost_usd) as carried_cost_usd,
        sum(tool_call_costs.child_cost_usd) as child_cost_usd
    from tool_call_costs
    left join tool_failures
        on tool_failures.source = tool_call_costs.source
        and tool_failures.thread_id = tool_call_costs.thread_id
        and tool_failures.run_id = tool_call_costs.run_id
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
        thread_id,
        run_id,
        step_id,
        step_index,
        case
            when type in ('response', 'turn') then null
            else epoch(coalesce(completed_at, failed_at, expired_at, cancelled_at)) - epoch(created_at)
        end as duration_s
    from run_steps
),
timed_steps as (
    select
        tool_steps.source,
        tool_steps.type,
        tool_steps.name,
        tool_steps.run_id,
        tool_steps.thread_id,
        tool_steps.calls,
        tool_steps.priced_calls,
        tool_steps.failures,
        least(
            tool_steps.calls,
            coalesce(lag(tool_steps.failures) over (
                partition by
                    tool_steps.source, tool_steps.thread_id, tool_steps.run_id, tool_steps.type, tool_steps.name
                order by step_durations.step_index, tool_steps.step_id
            ), 0)
        ) as retries,
        tool_steps.cost_usd,
        tool_steps.carried_cost_usd,
        tool_steps.child_cost_usd,
        tool_steps.arguments_bytes,
        tool_steps.output_bytes,
        step_durations.duration_s
    from tool_steps
    left join step_durations
        on step_durations.source = tool_steps.source
        and step_durations.thread_id = tool_steps.thread_id
        and step_durations.run_id = tool_steps.run_id
        and step_durations.step_id = tool_steps.step_id
),
source_runs as (
    select source, count(*) as runs
    from run_costs
    group by source
)
select
    timed_steps.source,
    timed_steps.type,
    timed_steps.name,
    cast(sum(timed_steps.calls) as bigint) as calls,
    count(*) as steps,
    count(distinct (timed_steps.thread_id, timed_steps.run_id)) as runs,
    count(distinct timed_steps.thread_id) as threads,
    count(distinct (timed_steps.thread_id, timed_steps.run_id)) / nullif(source_runs.runs, 0) as run_share,
    cast(sum(timed_steps.failures) as bigint) as failures,
    cast(sum(timed_steps.retries) as bigint) as retries,
    quantile_cont(timed_steps.duration_s, 0.5) as p50_duration_s,
    quantile_cont(timed_steps.duration_s, 0.95) as p95_duration_s,
    cast(sum(timed_steps.arguments_bytes) as bigint) as arguments_bytes,
    cast(sum(timed_steps.output_bytes) as bigint) as output_bytes,
    cast(sum(timed_steps.calls - timed_steps.priced_calls) as bigint) as unpriced_calls,
    sum(timed_steps.cost_usd) as cost_usd,
    cast(sum(timed_steps.carried_cost_usd) as decimal(38, 12)) as carried_cost_usd,
    cast(sum(timed_steps.child_cost_usd) as decimal(38, 12)) as child_cost_usd
from timed_steps
left join source_runs on source_runs.source = timed_steps.source
group by timed_steps.source, timed_steps.type, timed_steps.name, source_runs.runs;
