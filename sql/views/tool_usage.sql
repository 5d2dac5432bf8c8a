-- How each tool is used: how often, in how many runs, how often it fails, how long it takes, what it costs.
-- grain: source, type, name
-- units: seconds of the step, as the server tells time in whole seconds; US dollars, exact to 12 decimals; bytes
-- reads: tool_call_costs, runs, unstored_steps
-- run_share is the part of the source's runs that used the tool, from 0 to 1. Durations count each step once, whatever
-- the number of its calls; the calls of a response or a turn have no time of their own. retries are calls of a tool whose last calls before, in an earlier step of the same run, failed: at
-- most as many as failed there. carried_cost_usd and child_cost_usd stand beside the cost (see tool_call_costs). cost_usd sums the calls whose cost is known: unpriced_calls have none.
create or replace view tool_usage as
with known_runs as (
    select source, thread_id, run_id
    from runs
    union
    -- Steps whose run is not in the warehouse still make a run, as in run_costs.
    select source, thread_id, run_id
    from unstored_steps
),
source_runs as (
    select source, count(*) as runs
    from known_runs
    group by source
)
select
    tool_call_costs.source,
    tool_call_costs.type,
    tool_call_costs.name,
    count(*) as calls,
    count(*) filter (where tool_call_costs.is_first_of_step) as steps,
    count(*) filter (where tool_call_costs.is_first_of_run) as runs,
    count(distinct tool_call_costs.thread_id) as threads,
    count(*) filter (where tool_call_costs.is_first_of_run) / nullif(any_value(source_runs.runs), 0) as run_share,
    count(tool_call_costs.failure) as failures,
    cast(sum(tool_call_costs.retries) as bigint) as retries,
    quantile_cont(tool_call_costs.duration_s, 0.5) filter (where tool_call_costs.is_first_of_step) as p50_duration_s,
    quantile_cont(tool_call_costs.duration_s, 0.95) filter (where tool_call_costs.is_first_of_step) as p95_duration_s,
    cast(sum(tool_call_costs.arguments_bytes) as bigint) as arguments_bytes,
    cast(sum(tool_call_costs.output_bytes) as bigint) as output_bytes,
    count(*) - count(tool_call_costs.cost_usd) as unpriced_calls,
    sum(tool_call_costs.cost_usd) as cost_usd,
    cast(sum(tool_call_costs.carried_cost_usd) as decimal(38, 12)) as carried_cost_usd,
    cast(sum(tool_call_costs.child_cost_usd) as decimal(38, 12)) as child_cost_usd
from tool_call_costs
left join source_runs on source_runs.source = tool_call_costs.source
group by tool_call_costs.source, tool_call_costs.type, tool_call_costs.name;
