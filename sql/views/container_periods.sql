-- Containers of responses and turns by the 20 minutes that are charged, derived from when they were used.
-- grain: source, container_id, started_at
-- units: memory_gb in GB; instants are UTC
-- reads: tool_calls, run_steps, runs
-- A use 20 minutes or more after a period began opens the next one. run_id: the run that began it, thread_id its thread.
-- memory_gb is what the tools of a run ask for (memory_limit), null where they do not say. A container may have stood
-- longer than its last use shows, so more periods may be charged than are here.
create or replace view container_periods as
with uses as (
    select
        tool_calls.source,
        coalesce(
            json_extract_string(tool_calls.payload, '$.container_id'),
            json_extract_string(tool_calls.payload, '$.environment.container_id')
        ) as container_id,
        tool_calls.thread_id,
        tool_calls.run_id,
        epoch_us(coalesce(run_steps.created_at, runs.created_at)) as used_at_us,
        try_cast(
            nullif(regexp_extract(cast(runs.tools as varchar), '"memory_limit"\s*:\s*"([0-9]+)g"', 1), '') as bigint
        ) as memory_gb
    from tool_calls
    inner join runs
        on runs.source = tool_calls.source
        and runs.thread_id = tool_calls.thread_id
        and runs.run_id = tool_calls.run_id
        and runs.protocol <> 'assistants'
    left join run_steps
        on run_steps.source = tool_calls.source
        and run_steps.thread_id = tool_calls.thread_id
        and run_steps.run_id = tool_calls.run_id
        and run_steps.step_id = tool_calls.step_id
    where
        tool_calls.type in ('code_interpreter', 'shell')
        and container_id is not null
        and coalesce(run_steps.created_at, runs.created_at) is not null
),
instants as (
    select
        source,
        container_id,
        used_at_us,
        min({'thread_id': thread_id, 'run_id': run_id}) as user_of,
        max(memory_gb) as memory_gb,
        count(*) as calls
    from uses
    group by source, container_id, used_at_us
),
periods as (
    select
        source,
        container_id,
        unnest(
            list_reduce(
                list([used_at_us] order by used_at_us),
                lambda starts, used: case
                    when used[1] - starts[-1] >= 1200000000 then list_concat(starts, used)
                    else starts
                end
            )
        ) as started_at_us
    from instants
    group by source, container_id
),
placed_uses as (
    select
        instants.source,
        instants.container_id,
        periods.started_at_us,
        instants.used_at_us,
        instants.user_of,
        instants.memory_gb,
        instants.calls
    from instants
    asof join periods
        on periods.source = instants.source
        and periods.container_id = instants.container_id
        and instants.used_at_us >= periods.started_at_us
)
select
    source,
    container_id,
    make_timestamptz(started_at_us) as started_at,
    make_timestamptz(max(used_at_us)) as last_used_at,
    arg_min(user_of.thread_id, used_at_us) as thread_id,
    arg_min(user_of.run_id, used_at_us) as run_id,
    max(max(memory_gb)) over (partition by source, container_id) as memory_gb,
    cast(sum(calls) as bigint) as calls
from placed_uses
group by source, container_id, started_at_us;
