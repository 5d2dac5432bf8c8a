-- Spend by tool, and the rest that no tool has, so that it adds up to all that was spent.
-- grain: part, name, type
-- units: US dollars, exact to 12 decimals; share from 0 to 1
-- reads: report_calls, report_spending
-- part: tool, no_tool (steps that called none) or no_step (usage that a run told beyond its steps). Of a step that called several
-- each has its part; fees are those of the tool itself.
with call_sums as (
    select
        type,
        name,
        count(*) as calls,
        count(distinct (source, thread_id, run_id)) as runs,
        sum(cost_usd) as cost_usd
    from report_calls
    group by type, name
),
fee_sums as (
    select regexp_replace(fee_kind, '_([0-9]+gb_20_minutes|[a-z]+)$', '') as type, sum(fee_usd) as fee_usd
    from report_spending
    where kind = 'fee'
    group by all
),
rest_sums as (
    select
        case when kind = 'run_rest' then 'no_step' else 'no_tool' end as part,
        count(distinct (source, thread_id, run_id)) as runs,
        sum(cost_usd) as cost_usd
    from report_spending
    anti join report_calls
        on report_calls.source = report_spending.source
        and report_calls.thread_id = report_spending.thread_id
        and report_calls.run_id = report_spending.run_id
        and report_calls.step_id = report_spending.step_id
    where kind <> 'fee' and cost_usd is not null
    group by all
),
parts as (
    select
        'tool' as part,
        coalesce(call_sums.name, fee_sums.type) as name,
        coalesce(call_sums.type, fee_sums.type) as type,
        call_sums.calls,
        call_sums.runs,
        call_sums.cost_usd,
        fee_sums.fee_usd
    from call_sums
    full join fee_sums on fee_sums.type = call_sums.type and call_sums.name = call_sums.type
    union all by name
    select part, runs, cost_usd
    from rest_sums
)
select
    part,
    name,
    type,
    calls,
    runs,
    fee_usd,
    case
        when cost_usd is not null or fee_usd is not null
        then cast(coalesce(cost_usd, 0) + coalesce(cast(fee_usd as decimal(38, 12)), 0) as decimal(38, 12))
    end as spent_usd,
    spent_usd / nullif(sum(spent_usd) over (), 0) as share,
    cast(spent_usd / calls as decimal(38, 6)) as call_usd
from parts
order by spent_usd desc nulls last, calls desc, name, type;
