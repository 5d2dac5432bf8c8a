-- What tools cost beside their tokens, as far as the calls show it; each protocol has fees of its own.
-- grain: source, thread_id, run_id, kind, charged_on
-- units: US dollars; quantity in sessions or transactions; charged_on is a UTC date
-- reads: code_interpreter_sessions, container_periods, tool_calls, run_steps, runs, fee_periods
-- kind: code_interpreter_session (of the run that began it), bing_grounding_transaction (a call is one at least: the service may
-- search several times for it, so is_lower_bound) of assistants; file_search_call of responses; web_search_call of responses and
-- turns (what the server says it charges for, else the calls that search: opening a page is free); container_SIZEgb_20_minutes of
-- both (1 GB where no size is said). fee_usd is null, never 0, where nobody knows the fee of that day, or the day.
-- No fee is part of a step's cost.
create or replace view tool_fees as
with bing_calls as (
    select
        tool_calls.source,
        tool_calls.thread_id,
        tool_calls.run_id,
        cast(coalesce(run_steps.created_at, runs.created_at) at time zone 'UTC' as date) as charged_on,
        count(*) as quantity
    from tool_calls
    left join run_steps
        on run_steps.source = tool_calls.source
        and run_steps.thread_id = tool_calls.thread_id
        and run_steps.run_id = tool_calls.run_id
        and run_steps.step_id = tool_calls.step_id
    left join runs
        on runs.source = tool_calls.source
        and runs.thread_id = tool_calls.thread_id
        and runs.run_id = tool_calls.run_id
    where
        tool_calls.type in ('bing_grounding', 'bing_custom_search')
        and coalesce(runs.protocol, 'assistants') = 'assistants'
    group by tool_calls.source, tool_calls.thread_id, tool_calls.run_id, charged_on
),
newer_runs as (
    select
        source,
        thread_id,
        run_id,
        protocol,
        cast(created_at at time zone 'UTC' as date) as charged_on,
        case
            when contains(cast(extra as varchar), 'num_requests')
            then try_cast(json_extract_string(extra, '$.tool_usage.web_search.num_requests') as bigint)
        end as billed_searches
    from runs
    where protocol <> 'assistants'
),
newer_calls as (
    select
        newer_runs.source,
        newer_runs.thread_id,
        newer_runs.run_id,
        newer_runs.protocol,
        newer_runs.charged_on,
        any_value(newer_runs.billed_searches) as billed_searches,
        count(*) filter (where tool_calls.type = 'file_search') as file_searches,
        count(*) filter (
            where tool_calls.type = 'web_search' and json_extract_string(try_cast(tool_calls.arguments as json), '$.type') = 'search'
        ) as searches
    from newer_runs
    left join tool_calls
        on tool_calls.source = newer_runs.source
        and tool_calls.thread_id = newer_runs.thread_id
        and tool_calls.run_id = newer_runs.run_id
        and tool_calls.type in ('file_search', 'web_search')
    group by newer_runs.source, newer_runs.thread_id, newer_runs.run_id, newer_runs.protocol, newer_runs.charged_on
),
quantities as (
    select
        source,
        thread_id,
        run_id,
        'file_search_call' as kind,
        charged_on,
        file_searches as quantity,
        false as is_lower_bound,
        'one for each call' as method
    from newer_calls
    where file_searches > 0 and protocol = 'responses'
    union all
    select
        source,
        thread_id,
        run_id,
        'web_search_call' as kind,
        charged_on,
        coalesce(billed_searches, searches) as quantity,
        false as is_lower_bound,
        case
            when billed_searches is not null then 'requests that the server says it charges for'
            else 'one for each call that searches; opening a page or looking in it is free'
        end as method
    from newer_calls
    where coalesce(billed_searches, searches) > 0
    union all
    select
        source,
        thread_id,
        run_id,
        'container_' || coalesce(memory_gb, 1) || 'gb_20_minutes' as kind,
        cast(started_at at time zone 'UTC' as date) as charged_on,
        count(*) as quantity,
        true as is_lower_bound,
        '20 minutes from the first use of a container, of 1 GB where no size is said' as method
    from container_periods
    group by source, thread_id, run_id, kind, charged_on
    union all
    select
        source,
        thread_id,
        run_id,
        'code_interpreter_session' as kind,
        cast(started_at at time zone 'UTC' as date) as charged_on,
        count(*) as quantity,
        false as is_lower_bound,
        'a session lasts one hour from its first use in the thread' as method
    from code_interpreter_sessions
    group by source, thread_id, run_id, charged_on
    union all
    select
        source,
        thread_id,
        run_id,
        'bing_grounding_transaction' as kind,
        charged_on,
        quantity,
        true as is_lower_bound,
        'one transaction for each call; the service may have needed more' as method
    from bing_calls
)
select
    quantities.source,
    quantities.thread_id,
    quantities.run_id,
    quantities.kind,
    quantities.charged_on,
    quantities.quantity,
    quantities.is_lower_bound,
    quantities.method,
    fee_periods.fee_id,
    fee_periods.fee_usd as unit_fee_usd,
    cast(quantities.quantity * fee_periods.fee_usd as decimal(38, 6)) as fee_usd
from quantities
left join fee_periods
    on fee_periods.source = quantities.source
    and fee_periods.kind = quantities.kind
    and fee_periods.valid_from <= quantities.charged_on
    and quantities.charged_on < coalesce(fee_periods.valid_to, 'infinity'::date);
