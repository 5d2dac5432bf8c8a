-- What some tool calls cost and how they went, worked out: the names are of relations with the columns of tool_calls, run_steps, runs and usage_costs.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: US dollars, exact to 12 decimals; sizes in bytes; seconds
-- All calls and steps of a run must be there. tool_call_costs says what the columns mean; what other runs decide is not here.
create or replace macro worked_calls(calls_of, steps_of, runs_of, costs_of) as table
with costed_steps as materialized (
    select
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
        pico_usd(input_cost_usd + cached_cost_usd) as prompt_pico_usd,
        pico_usd(cost_usd) as step_pico_usd
    from query_table(costs_of)
    where kind = 'step'
),
carrying_steps as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        assistant_id,
        model,
        step_index,
        created_at,
        created_on,
        step_pico_usd,
        step_pico_usd - prompt_pico_usd as completion_pico_usd,
        count(*) over later_steps as later_steps,
        sum(case when prompt_tokens > 0 then prompt_pico_usd // prompt_tokens end) over later_steps as later_pico_usd_per_token
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
        tool_calls.child_thread_id,
        tool_calls.child_run_id,
        epoch(coalesce(run_steps.completed_at, run_steps.failed_at, run_steps.expired_at, run_steps.cancelled_at))
        - epoch(run_steps.created_at) as duration_s,
        -- Parsing every output would be slow: only text that can be such an object is parsed.
        case
            when starts_with(ltrim(tool_calls.output), '{') and contains(tool_calls.output, '"error"')
            then json_extract_string(try_cast(tool_calls.output as json), '$.error')
        end as output_error,
        case
            when run_steps.status = 'failed' or run_steps.last_error_code is not null then 'step_failed'
            when run_steps.status = 'expired' then 'step_expired'
            when tool_calls.type = 'code_interpreter' and contains(tool_calls.output, 'Traceback (most recent call last)')
            then 'traceback'
            when tool_calls.type = 'code_interpreter' and is_hidden_as(tool_calls.output, 'traceback') then 'traceback'
            when output_error not in ('', 'false', '0', '[]', '{}') then 'error_output'
            when is_hidden_as(tool_calls.output, 'error') then 'error_output'
            when
                tool_calls.type in ('function', 'mcp')
                and tool_calls.output is null
                and runs.status in ('expired', 'failed', 'incomplete')
            then 'unanswered'
        end as failure
    from query_table(calls_of) as tool_calls
    left join query_table(steps_of) as run_steps
        on run_steps.source = tool_calls.source
        and run_steps.thread_id = tool_calls.thread_id
        and run_steps.run_id = tool_calls.run_id
        and run_steps.step_id = tool_calls.step_id
    left join query_table(runs_of) as runs
        on runs.source = tool_calls.source
        and runs.thread_id = tool_calls.thread_id
        and runs.run_id = tool_calls.run_id
),
calls as (
    select
        sized_calls.source,
        sized_calls.thread_id,
        sized_calls.run_id,
        sized_calls.step_id,
        sized_calls.call_index,
        sized_calls.tool_call_id,
        carrying_steps.assistant_id,
        carrying_steps.model,
        sized_calls.type,
        sized_calls.name,
        carrying_steps.step_index,
        carrying_steps.created_at,
        carrying_steps.created_on,
        sized_calls.arguments_bytes,
        sized_calls.output_bytes,
        sized_calls.child_thread_id,
        sized_calls.child_run_id,
        sized_calls.duration_s,
        sized_calls.failure,
        carrying_steps.later_steps,
        carrying_steps.later_pico_usd_per_token,
        carrying_steps.step_pico_usd,
        carrying_steps.completion_pico_usd,
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
            when step_call_count = 1 then carrying_steps.step_pico_usd
            -- The product of cost and bytes, divided in two parts: of a dear step it would overflow.
            when least_bytes > 0
            then
                (carrying_steps.step_pico_usd - carrying_steps.completion_pico_usd) // step_call_count
                + carrying_steps.completion_pico_usd // step_bytes * sized_calls.arguments_bytes
                + carrying_steps.completion_pico_usd % step_bytes * sized_calls.arguments_bytes // step_bytes
            else carrying_steps.step_pico_usd // step_call_count
        end as share_pico_usd
    from sized_calls
    left join carrying_steps
        on carrying_steps.source = sized_calls.source
        and carrying_steps.thread_id = sized_calls.thread_id
        and carrying_steps.run_id = sized_calls.run_id
        and carrying_steps.step_id = sized_calls.step_id
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
        step_index,
        created_at,
        created_on,
        arguments_bytes,
        output_bytes,
        method,
        child_thread_id,
        child_run_id,
        duration_s,
        failure,
        later_steps,
        later_pico_usd_per_token,
        case
            when is_last
            then
                step_pico_usd
                - sum(share_pico_usd) over (partition by source, thread_id, run_id, step_id)
                + share_pico_usd
            else share_pico_usd
        end as share_pico_usd,
        count(*) over tool_step_calls as tool_step_calls,
        count(failure) over tool_step_calls as tool_step_failures,
        call_index = min(call_index) over tool_step_calls as is_first_of_step
    from calls
    window tool_step_calls as (partition by source, thread_id, run_id, step_id, type, name)
)
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
    usd_of_pico(share_pico_usd) as cost_usd,
    -- An estimate that does not fit (absurd usage) is unknown.
    usd_of_pico(
        case
            when output_bytes is null then null
            when later_steps = 0 then 0
            else cast(try_cast(output_bytes // 4 * later_pico_usd_per_token as decimal(38, 0)) as hugeint)
        end
    ) as carried_cost_usd,
    child_thread_id,
    child_run_id,
    duration_s,
    failure,
    is_first_of_step,
    row_number() over tool_calls_of_run = 1 as is_first_of_run,
    case
        when is_first_of_step
        then least(tool_step_calls, coalesce(lag(tool_step_failures) over tool_calls_of_run, 0))
    end as retries
from shares
window tool_calls_of_run as (
    partition by source, thread_id, run_id, type, name
    order by step_index, step_id, call_index
);
