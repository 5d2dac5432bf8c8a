-- Sessions of the code interpreter and the fee of each, derived from when a thread used it.
-- grain: source, thread_id, started_at
-- units: US dollars per session; a session lasts one hour from its first use; instants are UTC
-- reads: run_steps, runs, tool_calls, source_providers, fee_periods
-- A use one hour or more after a session began opens the next one. The fee is not part of any step's cost.
-- Uses without any instant cannot be placed and are left out. fee_usd is that of the day on which the session began, null where
-- nobody knows it. run_id: the run that began the session. Sessions are of assistants: other protocols charge for containers.
create or replace view code_interpreter_sessions as
with calling_steps as (
    select source, thread_id, run_id, step_id, count(*) as calls
    from tool_calls
    where type = 'code_interpreter'
    group by source, thread_id, run_id, step_id
),
uses as (
    select
        run_steps.source,
        run_steps.thread_id,
        run_steps.run_id,
        epoch_us(coalesce(run_steps.created_at, runs.created_at)) as used_at_us,
        calling_steps.calls
    from calling_steps
    inner join run_steps
        on run_steps.source = calling_steps.source
        and run_steps.thread_id = calling_steps.thread_id
        and run_steps.run_id = calling_steps.run_id
        and run_steps.step_id = calling_steps.step_id
    left join runs
        on runs.source = run_steps.source
        and runs.thread_id = run_steps.thread_id
        and runs.run_id = run_steps.run_id
    where
        coalesce(run_steps.created_at, runs.created_at) is not null
        and coalesce(runs.protocol, 'assistants') = 'assistants'
),
instants as (
    select
        source,
        thread_id,
        used_at_us,
        min(run_id) as run_id,
        count(*) as steps,
        cast(sum(calls) as bigint) as calls
    from uses
    group by source, thread_id, used_at_us
),
gaps as (
    select
        source,
        thread_id,
        used_at_us,
        used_at_us - lag(used_at_us) over (partition by source, thread_id order by used_at_us) as gap_us
    from instants
),
-- An hour without use always ends a session, so each island of uses can be walked on its own.
islands as (
    select
        source,
        thread_id,
        used_at_us,
        count(*) filter (where gap_us is null or gap_us >= 3600000000) over (
            partition by source, thread_id order by used_at_us
        ) as island
    from gaps
),
walked_islands as (
    select
        source,
        thread_id,
        list_reduce(
            list([used_at_us] order by used_at_us),
            lambda starts, used: case
                when used[1] - starts[-1] >= 3600000000 then list_concat(starts, used)
                else starts
            end
        ) as starts_us
    from islands
    group by source, thread_id, island
),
sessions as (
    select source, thread_id, unnest(starts_us) as started_at_us
    from walked_islands
),
placed_uses as (
    select
        instants.source,
        instants.thread_id,
        sessions.started_at_us,
        instants.used_at_us,
        instants.run_id,
        instants.steps,
        instants.calls
    from instants
    asof join sessions
        on sessions.source = instants.source
        and sessions.thread_id = instants.thread_id
        and instants.used_at_us >= sessions.started_at_us
),
placed_sessions as (
    select
        source,
        thread_id,
        make_timestamptz(started_at_us) as started_at,
        make_timestamptz(max(used_at_us)) as last_used_at,
        arg_min(run_id, used_at_us) as run_id,
        cast(sum(steps) as bigint) as steps,
        cast(sum(calls) as bigint) as calls
    from placed_uses
    group by source, thread_id, started_at_us
)
select
    placed_sessions.source,
    placed_sessions.thread_id,
    placed_sessions.started_at,
    placed_sessions.last_used_at,
    placed_sessions.run_id,
    placed_sessions.steps,
    placed_sessions.calls,
    source_providers.provider,
    fee_periods.fee_usd
from placed_sessions
left join source_providers on source_providers.source = placed_sessions.source
left join fee_periods
    on fee_periods.source = placed_sessions.source
    and fee_periods.kind = 'code_interpreter_session'
    and fee_periods.valid_from <= cast(placed_sessions.started_at at time zone 'UTC' as date)
    and cast(placed_sessions.started_at at time zone 'UTC' as date) < coalesce(fee_periods.valid_to, 'infinity'::date);
