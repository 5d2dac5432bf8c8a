-- Runs whose stored tool calls are not what their calls and steps make them: `load --rebuild` stores them anew.
-- severity: fail
-- reads: stored_runs, stored_costs, stored_calls, runs, run_steps, tool_calls
with both_rows as (
    select columns(*), 1 as side
    from stored_calls
    union all by name
    select columns(calls.*), -1 as side
    from worked_calls('tool_calls', 'run_steps', 'runs', 'stored_costs') as calls
    semi join stored_runs
        on stored_runs.source = calls.source
        and stored_runs.thread_id = calls.thread_id
        and stored_runs.run_id = calls.run_id
),
digests as (
    select source, thread_id, run_id, side, cast(hash(*columns(* exclude (side))) as hugeint) as digest
    from both_rows
)
select source, thread_id, run_id, sum(side) as rows_too_many
from digests
group by source, thread_id, run_id
having sum(side * digest) <> 0
order by source, thread_id, run_id;
