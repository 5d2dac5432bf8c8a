-- The cost of each step with tool calls, divided over its calls.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: US dollars, exact to 12 decimals; sizes in bytes; seconds of the step, as the server tells time in whole seconds
-- reads: stored_calls, unstored_calls, unstored_steps, unstored_runs, unstored_costs, tool_calls, run_steps, lone_runs, usage_costs
-- The prompt was there for all calls of the step: its cost (input, cached, written to the cache) is theirs in equal parts. The
-- completion is what the calls were written with: its cost is theirs by the size of their arguments. method says which:
-- exact (the step has one call), by_bytes (so divided), even (both in equal parts, as a call has no arguments, empty ones or
-- unknown ones). The shares add up to the step's cost to the last digit: the last call takes what rounding leaves.
-- Beside the cost, never added in, stand two more:
-- carried_cost_usd estimates what the call's output cost again as prompt tokens of the later steps of its run:
--     (output_bytes // 4) tokens * sum over the later steps of (input_cost_usd + cached_cost_usd) / prompt_tokens
-- It is null where the output's text is unknown or no later step has a cost, 0 where no step follows.
-- child_cost_usd is the whole cost of the run that a connected agent's call started. Where several calls name the same run,
-- the first has it, so that a sum counts each run once.
-- How the call went: failure is the reason that tool_failures has it for, duration_s is that of its step. So that sums count
-- each step and run of a tool once: is_first_of_step and is_first_of_run mark the first call of its tool there, and retries,
-- told at the first of a step, are its calls whose last ones before, in an earlier step of the run, failed.
create or replace view tool_call_costs as
with child_calls as (
    select
        tool_calls.source,
        tool_calls.thread_id,
        tool_calls.run_id,
        tool_calls.step_id,
        tool_calls.call_index,
        coalesce(tool_calls.child_thread_id, lone_runs.thread_id) as child_thread_id,
        tool_calls.child_run_id
    from tool_calls
    left join lone_runs
        on tool_calls.child_thread_id is null
        and lone_runs.source = tool_calls.source
        and lone_runs.run_id = tool_calls.child_run_id
    left join run_steps
        on run_steps.source = tool_calls.source
        and run_steps.thread_id = tool_calls.thread_id
        and run_steps.run_id = tool_calls.run_id
        and run_steps.step_id = tool_calls.step_id
    where tool_calls.child_run_id is not null
    qualify
        row_number() over (
            partition by tool_calls.source, child_thread_id, tool_calls.child_run_id
            order by
                run_steps.created_at,
                tool_calls.thread_id,
                tool_calls.run_id,
                tool_calls.step_id,
                tool_calls.call_index
        ) = 1
),
child_costs as (
    select
        child_calls.source,
        child_calls.thread_id,
        child_calls.run_id,
        child_calls.step_id,
        child_calls.call_index,
        cast(sum(usage_costs.cost_usd) as decimal(38, 12)) as cost_usd
    from child_calls
    inner join usage_costs
        on usage_costs.source = child_calls.source
        and usage_costs.thread_id = child_calls.child_thread_id
        and usage_costs.run_id = child_calls.child_run_id
    group by child_calls.source, child_calls.thread_id, child_calls.run_id, child_calls.step_id, child_calls.call_index
),
calls as (
    select columns(*) from stored_calls
    union all by name
    select columns(*) from worked_calls('unstored_calls', 'unstored_steps', 'unstored_runs', 'unstored_costs')
)
select
    calls.source,
    calls.thread_id,
    calls.run_id,
    calls.step_id,
    calls.call_index,
    calls.tool_call_id,
    calls.assistant_id,
    calls.model,
    calls.type,
    calls.name,
    calls.created_at,
    calls.created_on,
    calls.arguments_bytes,
    calls.output_bytes,
    calls.method,
    calls.cost_usd,
    calls.carried_cost_usd,
    child_costs.cost_usd as child_cost_usd,
    calls.duration_s,
    calls.failure,
    calls.is_first_of_step,
    calls.is_first_of_run,
    calls.retries
from calls
left join child_costs
    on child_costs.source = calls.source
    and child_costs.thread_id = calls.thread_id
    and child_costs.run_id = calls.run_id
    and child_costs.step_id = calls.step_id
    and child_costs.call_index = calls.call_index;
