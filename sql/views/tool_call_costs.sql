-- The cost of each step with tool calls, divided over its calls.
-- grain: source, step_id, call_index
-- units: US dollars, exact to 12 decimals; sizes in bytes
-- reads: tool_calls, step_costs
-- method: exact (the step has one call), by_bytes (by the size of the arguments, when every call of the step has some),
-- else even. The shares add up to the step's cost to the last digit: the last call takes what rounding leaves.
create or replace view tool_call_costs as
with calls as (
    select
        tool_calls.source,
        tool_calls.step_id,
        tool_calls.call_index,
        tool_calls.tool_call_id,
        tool_calls.run_id,
        coalesce(tool_calls.thread_id, step_costs.thread_id) as thread_id,
        step_costs.assistant_id,
        step_costs.model,
        tool_calls.type,
        tool_calls.name,
        step_costs.created_at,
        step_costs.created_on,
        strlen(tool_calls.arguments) as arguments_bytes,
        strlen(tool_calls.output) as output_bytes,
        -- Whole numbers of 1e-12 dollars, because division of decimals makes doubles.
        cast(step_costs.cost_usd * 1000000000000::decimal(13, 0) as hugeint) as step_pico_usd,
        count(*) over step_calls as step_call_count,
        coalesce(min(coalesce(strlen(tool_calls.arguments), 0)) over step_calls, 0) as least_bytes,
        sum(strlen(tool_calls.arguments)) over step_calls as step_bytes,
        tool_calls.call_index = max(tool_calls.call_index) over step_calls as is_last
    from tool_calls
    left join step_costs on step_costs.source = tool_calls.source and step_costs.step_id = tool_calls.step_id
    window step_calls as (partition by tool_calls.source, tool_calls.step_id)
),
methods as (
    select
        source,
        step_id,
        call_index,
        tool_call_id,
        run_id,
        thread_id,
        assistant_id,
        model,
        type,
        name,
        created_at,
        created_on,
        arguments_bytes,
        output_bytes,
        step_pico_usd,
        is_last,
        case
            when step_call_count = 1 then 'exact'
            when least_bytes > 0 then 'by_bytes'
            else 'even'
        end as method,
        case
            when step_call_count = 1 then step_pico_usd
            when least_bytes > 0 then step_pico_usd * arguments_bytes // step_bytes
            else step_pico_usd // step_call_count
        end as share_pico_usd
    from calls
),
shares as (
    select
        source,
        step_id,
        call_index,
        tool_call_id,
        run_id,
        thread_id,
        assistant_id,
        model,
        type,
        name,
        created_at,
        created_on,
        arguments_bytes,
        output_bytes,
        method,
        case
            when is_last
            then step_pico_usd - sum(share_pico_usd) over (partition by source, step_id) + share_pico_usd
            else share_pico_usd
        end as share_pico_usd
    from methods
)
select
    source,
    step_id,
    call_index,
    tool_call_id,
    run_id,
    thread_id,
    assistant_id,
    model,
    type,
    name,
    created_at,
    created_on,
    arguments_bytes,
    output_bytes,
    method,
    cast(cast(share_pico_usd as decimal(25, 0)) * 0.000000000001::decimal(13, 12) as decimal(38, 12)) as cost_usd
from shares;
