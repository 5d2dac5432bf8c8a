-- Spend of each day, week or month over a move: all of it, and what each protocol has of it.
-- units: US dollars rounded to 6 decimals, fees of tools only in fee_usd; period is its first UTC day, weeks begin on Monday
-- params: per=month, periods=12
-- total: cost_usd, fee_usd, assistants_usd, responses_usd, agents_usd, runs, unpriced
-- share: cost_usd
-- reads: spending, runs
-- All sources together, so that a customer who moved is one line; --source narrows it. Null: nothing of it in that period.
with costs as (
    select
        case
            when $per in ('day', 'week', 'month') then cast(date_trunc(cast($per as varchar), spending.created_on) as date)
            else error('per is day, week or month')
        end as period,
        runs.protocol,
        spending.source,
        spending.thread_id,
        spending.run_id,
        spending.kind,
        spending.cost_usd,
        spending.fee_usd
    from spending
    left join runs
        on runs.source = spending.source
        and runs.thread_id = spending.thread_id
        and runs.run_id = spending.run_id
)
select
    period,
    round(sum(cost_usd), 6) as cost_usd,
    round(sum(fee_usd), 6) as fee_usd,
    round(sum(cost_usd) filter (where protocol = 'assistants'), 6) as assistants_usd,
    round(sum(cost_usd) filter (where protocol = 'responses'), 6) as responses_usd,
    round(sum(cost_usd) filter (where protocol = 'agents'), 6) as agents_usd,
    count(distinct (source, thread_id, run_id)) filter (where kind <> 'fee') as runs,
    count(*) filter (where kind <> 'fee' and cost_usd is null) as unpriced
from costs
group by period
qualify dense_rank() over (order by period desc nulls last) <= cast($periods as bigint)
order by period;
