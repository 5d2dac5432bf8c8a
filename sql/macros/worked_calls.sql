-- What some tool calls cost and how they went, worked out: the names are of relations with the columns of tool_calls, run_steps, runs and usage_costs.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: US dollars, exact to 12 decimals; sizes in bytes; seconds
-- All calls and steps of a run must be there. tool_call_costs says what the columns mean; what other runs decide is not here.
create or replace macro worked_calls(calls_of, steps_of, runs_of, costs_of) as table
with costed_steps as (
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
-- Texts become sizes and signs before anything is joined: a join would carry them.
read_calls as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        call_index,
        tool_call_id,
        type,
        name,
        text_bytes(arguments) as arguments_bytes,
        text_bytes(output) as output_bytes,
        child_thread_id,
        child_run_id,
        error is not null or coalesce(status in ('failed', 'incomplete'), false) as says_failed,
        -- Parsing every output would be slow: only text that can be such an object is parsed.
        case
            when starts_with(ltrim(output), '{') and contains(output, '"error"')
            then json_extract_string(try_cast(output as json), '$.error')
        end not in ('', 'false', '0', '[]', '{}')
        or is_hidden_as(output, 'error') as is_error,
        contains(output, 'Traceback (most recent call last)') or is_hidden_as(output, 'traceback') as is_traceback,
        output is null as is_unanswered
    from query_table(calls_of)
),
sized_calls as materialized (
    select
        calls.source,
        calls.thread_id,
        calls.run_id,
        calls.step_id,
        calls.call_index,
        calls.tool_call_id,
        calls.type,
        calls.name,
        calls.arguments_bytes,
        calls.output_bytes,
        calls.child_thread_id,
        calls.child_run_id,
        run_steps.step_index,
        case
            when run_steps.type in ('response', 'turn') then null
            else
                epoch(coalesce(run_steps.completed_at, run_steps.failed_at, run_steps.expired_at, run_steps.cancelled_at))
                - epoch(run_steps.created_at)
        end as duration_s,
        coalesce(runs.protocol, 'assistants') = 'assistants' as is_classic,
        case
            when not is_classic and calls.says_failed then 'call_failed'
            when is_classic and (run_steps.status = 'failed' or run_steps.last_error_code is not null) then 'step_failed'
            when is_classic and run_steps.status = 'expired' then 'step_expired'
            when calls.type = 'code_interpreter' and calls.is_traceback then 'traceback'
            when calls.is_error then 'error_output'
            when
                is_classic
                and calls.type in ('function', 'mcp')
                and calls.is_unanswered
                and runs.status in ('expired', 'failed', 'incomplete')
            then 'unanswered'
        end as failure
    from read_calls as calls
    left join query_table(steps_of) as run_steps
        on run_steps.source = calls.source
        and run_steps.thread_id = calls.thread_id
        and run_steps.run_id = calls.run_id
        and run_steps.step_id = calls.step_id
    left join query_table(runs_of) as runs
        on runs.source = calls.source
        and runs.thread_id = calls.thread_id
        and runs.run_id = calls.run_id
),
step_calls as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        count(*) as call_count,
        coalesce(min(coalesce(arguments_bytes, 0)), 0) as least_bytes,
        sum(arguments_bytes) as step_bytes,
        list(arguments_bytes) as sizes,
        max(call_index) as last_index
    from sized_calls
    group by source, thread_id, run_id, step_id
),
calling_steps as (
    select
        step_calls.source,
        step_calls.thread_id,
        step_calls.run_id,
        step_calls.step_id,
        step_calls.last_index,
        carrying_steps.assistant_id,
        carrying_steps.model,
        carrying_steps.created_at,
        carrying_steps.created_on,
        carrying_steps.later_steps,
        carrying_steps.later_pico_usd_per_token,
        case
            when step_calls.call_count = 1 then 'exact'
            when step_calls.least_bytes > 0 then 'by_bytes'
            else 'even'
        end as method,
        -- Of what is divided by size nothing is in the equal part.
        case
            when method = 'by_bytes'
            then (carrying_steps.step_pico_usd - carrying_steps.completion_pico_usd) // step_calls.call_count
            else carrying_steps.step_pico_usd // step_calls.call_count
        end as equal_pico_usd,
        -- The product of cost and bytes, divided in two parts: of a dear step it would overflow.
        case when method = 'by_bytes' then carrying_steps.completion_pico_usd // step_calls.step_bytes end as pico_usd_per_byte,
        case when method = 'by_bytes' then carrying_steps.completion_pico_usd % step_calls.step_bytes end as rest_of_bytes,
        step_calls.step_bytes,
        carrying_steps.step_pico_usd
        - equal_pico_usd * step_calls.call_count
        - case
            when method = 'by_bytes'
            then
                list_sum(
                    list_transform(
                        step_calls.sizes,
                        lambda size: pico_usd_per_byte * size + rest_of_bytes * size // step_calls.step_bytes
                    )
                )
            else 0
        end as left_pico_usd
    from step_calls
    left join carrying_steps
        on carrying_steps.source = step_calls.source
        and carrying_steps.thread_id = step_calls.thread_id
        and carrying_steps.run_id = step_calls.run_id
        and carrying_steps.step_id = step_calls.step_id
),
tool_steps as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        type,
        name,
        any_value(step_index) as step_index,
        min(call_index) as call_index,
        count(*) as calls,
        count(failure) as failures
    from sized_calls
    group by source, thread_id, run_id, step_id, type, name
),
first_calls as (
    select
        source,
        thread_id,
        run_id,
        step_id,
        call_index,
        row_number() over tool_steps_of_run = 1 as is_first_of_run,
        least(calls, coalesce(lag(failures) over tool_steps_of_run, 0)) as retries
    from tool_steps
    window tool_steps_of_run as (partition by source, thread_id, run_id, type, name order by step_index, step_id)
)
select
    sized_calls.source,
    sized_calls.thread_id,
    sized_calls.run_id,
    sized_calls.step_id,
    sized_calls.call_index,
    sized_calls.tool_call_id,
    calling_steps.assistant_id,
    calling_steps.model,
    sized_calls.type,
    sized_calls.name,
    calling_steps.created_at,
    calling_steps.created_on,
    sized_calls.arguments_bytes,
    sized_calls.output_bytes,
    calling_steps.method,
    usd_of_pico(
        calling_steps.equal_pico_usd
        + case
            when calling_steps.method = 'by_bytes'
            then
                calling_steps.pico_usd_per_byte * sized_calls.arguments_bytes
                + calling_steps.rest_of_bytes * sized_calls.arguments_bytes // calling_steps.step_bytes
            else 0
        end
        + case when sized_calls.call_index = calling_steps.last_index then calling_steps.left_pico_usd else 0 end
    ) as cost_usd,
    -- An estimate that does not fit (absurd usage) is unknown.
    usd_of_pico(
        case
            when sized_calls.output_bytes is null then null
            when calling_steps.later_steps = 0 then 0
            else
                cast(
                    try_cast(sized_calls.output_bytes // 4 * calling_steps.later_pico_usd_per_token as decimal(38, 0))
                    as hugeint
                )
        end
    ) as carried_cost_usd,
    sized_calls.child_thread_id,
    sized_calls.child_run_id,
    sized_calls.duration_s,
    sized_calls.failure,
    first_calls.call_index is not null as is_first_of_step,
    coalesce(first_calls.is_first_of_run, false) as is_first_of_run,
    first_calls.retries
from sized_calls
inner join calling_steps
    on calling_steps.source = sized_calls.source
    and calling_steps.thread_id = sized_calls.thread_id
    and calling_steps.run_id = sized_calls.run_id
    and calling_steps.step_id = sized_calls.step_id
left join first_calls
    on first_calls.source = sized_calls.source
    and first_calls.thread_id = sized_calls.thread_id
    and first_calls.run_id = sized_calls.run_id
    and first_calls.step_id = sized_calls.step_id
    and first_calls.call_index = sized_calls.call_index;
