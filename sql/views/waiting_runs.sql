-- Runs that waited for tool outputs, and turns that waited for anybody, when they were last seen.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals; instants are UTC; created_on is a UTC date
-- reads: runs, run_costs, tool_calls
-- waiting_calls are the calls of functions, and of mcp tools that wait for approval, that have no output yet; also those that only
-- the run's required_action names. waiting_names are their names in order of the alphabet.
create or replace view waiting_runs as
with asked_calls as (
    select
        source,
        thread_id,
        run_id,
        unnest(
            flatten(
                list_transform(
                    [
                        '$.required_action.submit_tool_outputs.tool_calls',
                        '$.required_action.submit_tool_approval.tool_calls',
                        '$.required_action.submitToolOutputs.toolCalls',
                        '$.required_action.submitToolApproval.toolCalls'
                    ],
                    lambda path: coalesce(try_cast(json_extract(extra, path) as json[]), [])
                )
            )
        ) as asked_call
    from runs
    where status = 'requires_action' and contains(cast(extra as varchar), '"required_action"')
),
calls_without_output as (
    select
        source,
        thread_id,
        run_id,
        tool_call_id,
        name
    from tool_calls
    where type in ('function', 'mcp') and output is null
    union all
    select
        source,
        thread_id,
        run_id,
        json_extract_string(asked_call, '$.id') as tool_call_id,
        coalesce(
            json_extract_string(asked_call, '$.function.name'),
            json_extract_string(asked_call, '$.name')
        ) as name
    from asked_calls
    where
        (source, thread_id, run_id, json_extract_string(asked_call, '$.id')) not in (
            select (source, thread_id, run_id, tool_call_id) from tool_calls where tool_call_id is not null
        )
),
waiting_calls as (
    select
        source,
        thread_id,
        run_id,
        count(*) as calls,
        list_sort(list(distinct name) filter (where name is not null)) as names
    from calls_without_output
    group by source, thread_id, run_id
)
select
    runs.source,
    runs.thread_id,
    runs.run_id,
    runs.assistant_id,
    runs.model,
    runs.created_at,
    run_costs.created_on,
    runs.expires_at,
    runs.observed_at,
    coalesce(waiting_calls.calls, 0) as waiting_calls,
    waiting_calls.names as waiting_names,
    run_costs.steps,
    run_costs.unpriced_steps,
    run_costs.unpriced_rests,
    run_costs.total_tokens,
    run_costs.cost_usd
from runs
inner join run_costs
    on run_costs.source = runs.source
    and run_costs.thread_id = runs.thread_id
    and run_costs.run_id = runs.run_id
left join waiting_calls
    on waiting_calls.source = runs.source
    and waiting_calls.thread_id = runs.thread_id
    and waiting_calls.run_id = runs.run_id
where runs.status in ('requires_action', 'waiting');
