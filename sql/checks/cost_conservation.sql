-- Money that appears or vanishes between levels: calls, steps, rests, runs, threads, days and assistants add up, and fees beside them, to the last digit.
-- severity: fail
-- reads: usage_costs, spending, tool_call_costs, run_costs, thread_costs, daily_spend, assistant_spend
-- Of a run: its calls, its steps without calls and the rest that no step tells make its cost. Of a source: every level has the same sum.
with runs_with_costs as materialized (
    select source, thread_id, run_id, cost_usd, fee_usd
    from run_costs
),
threads_with_costs as materialized (
    select source, thread_id, cost_usd, fee_usd
    from thread_costs
),
calling_steps as (
    select source, thread_id, run_id, step_id, sum(cost_usd) as cost_usd
    from tool_call_costs
    group by source, thread_id, run_id, step_id
),
call_sums as (
    select
        usage_costs.source,
        usage_costs.thread_id,
        usage_costs.run_id,
        sum(
            case
                when calling_steps.step_id is null then usage_costs.cost_usd
                else calling_steps.cost_usd
            end
        ) as cost_usd
    from usage_costs
    left join calling_steps
        on calling_steps.source = usage_costs.source
        and calling_steps.thread_id = usage_costs.thread_id
        and calling_steps.run_id = usage_costs.run_id
        and calling_steps.step_id = usage_costs.step_id
    group by usage_costs.source, usage_costs.thread_id, usage_costs.run_id
),
run_sums as (
    select source, thread_id, sum(cost_usd) as cost_usd
    from runs_with_costs
    group by source, thread_id
),
sources as (
    select source, sum(cost_usd) as cost_usd, sum(fee_usd) as fee_usd
    from spending
    group by source
),
levels as (
    select 'run_costs' as level, source, sum(cost_usd) as cost_usd, sum(fee_usd) as fee_usd
    from runs_with_costs
    group by source
    union all
    select 'thread_costs', source, sum(cost_usd), sum(fee_usd)
    from threads_with_costs
    group by source
    union all
    select 'daily_spend', source, sum(cost_usd), sum(fee_usd)
    from daily_spend
    group by source
    union all
    select 'assistant_spend', source, sum(cost_usd), sum(fee_usd)
    from assistant_spend
    group by source
)
select
    'calls of run' as level,
    call_sums.source,
    call_sums.thread_id || ' ' || call_sums.run_id as id,
    call_sums.cost_usd as parts_cost_usd,
    runs_with_costs.cost_usd as whole_cost_usd
from call_sums
left join runs_with_costs
    on runs_with_costs.source = call_sums.source
    and runs_with_costs.thread_id = call_sums.thread_id
    and runs_with_costs.run_id = call_sums.run_id
where call_sums.cost_usd is distinct from runs_with_costs.cost_usd
union all
select
    'runs of thread',
    run_sums.source,
    run_sums.thread_id,
    run_sums.cost_usd,
    threads_with_costs.cost_usd
from run_sums
left join threads_with_costs
    on threads_with_costs.source = run_sums.source and threads_with_costs.thread_id = run_sums.thread_id
where run_sums.cost_usd is distinct from threads_with_costs.cost_usd
union all
select levels.level, sources.source, null, levels.cost_usd, sources.cost_usd
from sources
inner join levels on levels.source = sources.source
where levels.cost_usd is distinct from sources.cost_usd
union all
select 'fees of ' || levels.level, sources.source, null, levels.fee_usd, sources.fee_usd
from sources
inner join levels on levels.source = sources.source
where levels.fee_usd is distinct from sources.fee_usd
order by level, source, id;
