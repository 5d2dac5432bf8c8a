-- The cost of each step with tool calls, divided over its calls.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: US dollars, exact to 12 decimals; sizes in bytes
-- reads: tool_calls, usage_costs, lone_runs
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
create or replace view tool_call_costs as
with usages as materialized (
    select
        kind,
        source,
        thread_id,
        run_id,
        step_id,
        assistant_id,
        model,
        step_index,
        created_at,
        created_on,
        prompt_tokens,
        input_cost_usd + cached_cost_usd as prompt_cost_usd,
        cost_usd
    from usage_costs
),
costed_steps as (
    select columns(* exclude (kind))
    from usages
    where kind = 'step'
),
child_runs as (
    select source, thread_id, run_id, sum(cost_usd) as cost_usd
    from usages
    group by source, thread_id, run_id
),
carrying_steps as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        count(*) over later_steps as later_steps,
        sum(
            case
                when prompt_tokens > 0
                then pico_usd(prompt_cost_usd) // prompt_tokens
            end
        ) over later_steps as later_pico_usd_per_token
    from costed_steps
    window later_steps as (
        partition by source, thread_id, run_id
        order by step_index, step_id
        rows between 1 following and unbounded following
    )
),
sized_calls as (
    select
        tool_calls.source,
        tool_calls.thread_id,
        tool_calls.run_id,
        tool_calls.step_id,
        tool_calls.call_index,
        tool_calls.tool_call_id,
        tool_calls.type,
        tool_calls.name,
        text_bytes(tool_calls.arguments) as arguments_bytes,
        text_bytes(tool_calls.output) as output_bytes,
        coalesce(tool_calls.child_thread_id, lone_runs.thread_id) as child_thread_id,
        tool_calls.child_run_id
    from tool_calls
    left join lone_runs
        on tool_calls.child_thread_id is null
        and lone_runs.source = tool_calls.source
        and lone_runs.run_id = tool_calls.child_run_id
),
calls as (
    select
        sized_calls.source,
        sized_calls.thread_id,
        sized_calls.run_id,
        sized_calls.step_id,
        sized_calls.call_index,
        sized_calls.tool_call_id,
        costed_steps.assistant_id,
        costed_steps.model,
        sized_calls.type,
        sized_calls.name,
        costed_steps.created_at,
        costed_steps.created_on,
        sized_calls.arguments_bytes,
        sized_calls.output_bytes,
        sized_calls.child_thread_id,
        sized_calls.child_run_id,
        row_number() over (
            partition by sized_calls.source, sized_calls.child_thread_id, sized_calls.child_run_id
            order by
                costed_steps.created_at,
                sized_calls.thread_id,
                sized_calls.run_id,
                sized_calls.step_id,
                sized_calls.call_index
        ) = 1 as is_first_of_child,
        pico_usd(costed_steps.cost_usd) as step_pico_usd,
        pico_usd(costed_steps.cost_usd - costed_steps.prompt_cost_usd) as completion_pico_usd,
        count(*) over step_calls as step_call_count,
        coalesce(min(coalesce(sized_calls.arguments_bytes, 0)) over step_calls, 0) as least_bytes,
        sum(sized_calls.arguments_bytes) over step_calls as step_bytes,
        sized_calls.call_index = max(sized_calls.call_index) over step_calls as is_last,
        case
            when step_call_count = 1 then 'exact'
            when least_bytes > 0 then 'by_bytes'
            else 'even'
        end as method,
        case
            when step_call_count = 1 then step_pico_usd
            -- The product of cost and bytes, divided in two parts: of a dear step it would overflow.
            when least_bytes > 0
            then
                (step_pico_usd - completion_pico_usd) // step_call_count
                + completion_pico_usd // step_bytes * sized_calls.arguments_bytes
                + completion_pico_usd % step_bytes * sized_calls.arguments_bytes // step_bytes
            else step_pico_usd // step_call_count
        end as share_pico_usd
    from sized_calls
    left join costed_steps
        on costed_steps.source = sized_calls.source
        and costed_steps.thread_id = sized_calls.thread_id
        and costed_steps.run_id = sized_calls.run_id
        and costed_steps.step_id = sized_calls.step_id
    window step_calls as (partition by sized_calls.source, sized_calls.thread_id, sized_calls.run_id, sized_calls.step_id)
),
shares as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        call_index,
        tool_call_id,
        assistant_id,
        model,
        type,
        name,
        created_at,
        created_on,
        arguments_bytes,
        output_bytes,
        method,
        child_thread_id,
        child_run_id,
        is_first_of_child,
        case
            when is_last
            then step_pico_usd - sum(share_pico_usd) over (partition by source, thread_id, run_id, step_id) + share_pico_usd
            else share_pico_usd
        end as share_pico_usd
    from calls
)
select
    shares.source,
    shares.thread_id,
    shares.run_id,
    shares.step_id,
    shares.call_index,
    shares.tool_call_id,
    shares.assistant_id,
    shares.model,
    shares.type,
    shares.name,
    shares.created_at,
    shares.created_on,
    shares.arguments_bytes,
    shares.output_bytes,
    shares.method,
    usd_of_pico(shares.share_pico_usd) as cost_usd,
    -- An estimate that does not fit (absurd usage) is unknown.
    usd_of_pico(
        case
            when shares.output_bytes is null then null
            when carrying_steps.later_steps = 0 then 0
            else
                cast(
                    try_cast(shares.output_bytes // 4 * carrying_steps.later_pico_usd_per_token as decimal(38, 0)) as hugeint
                )
        end
    ) as carried_cost_usd,
    cast(case when shares.is_first_of_child then child_runs.cost_usd end as decimal(38, 12)) as child_cost_usd
from shares
left join carrying_steps
    on carrying_steps.source = shares.source
    and carrying_steps.thread_id = shares.thread_id
    and carrying_steps.run_id = shares.run_id
    and carrying_steps.step_id = shares.step_id
left join child_runs
    on child_runs.source = shares.source
    and child_runs.thread_id = shares.child_thread_id
    and child_runs.run_id = shares.child_run_id;
