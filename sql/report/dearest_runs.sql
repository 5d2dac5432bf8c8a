-- The runs that cost most: of the whole report, and on each of its dearest days.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals; first_day is a UTC date; dearest_days are the dearest days of which it is one of the three dearest runs
-- reads: report_spending, report_days, report_calls, report_runs
with run_sums as (
    select
        source,
        thread_id,
        run_id,
        any_value(model) as model,
        any_value(assistant_id) as assistant_id,
        min(created_on) as first_day,
        count(*) filter (where kind = 'step') as steps,
        sum(spent_usd) as spent_usd,
        row_number() over (order by sum(spent_usd) desc nulls last, source, thread_id, run_id) as place
    from report_spending
    group by source, thread_id, run_id
    having sum(spent_usd) > 0
),
day_runs as (
    select source, thread_id, run_id, created_on as day
    from report_spending
    where created_on in (select day from report_days)
    group by source, thread_id, run_id, created_on
    having sum(spent_usd) > 0
    qualify row_number() over (partition by created_on order by sum(spent_usd) desc, source, thread_id, run_id) <= 3
),
chosen_days as (
    select source, thread_id, run_id, list(day order by day) as dearest_days
    from day_runs
    group by source, thread_id, run_id
),
call_sums as (
    select source, thread_id, run_id, count(*) as calls, count(failure) as failures
    from report_calls
    group by source, thread_id, run_id
)
select
    run_sums.source,
    run_sums.thread_id,
    run_sums.run_id,
    run_sums.first_day,
    report_runs.status,
    run_sums.steps,
    -- A run without a row of sums called no tool.
    coalesce(call_sums.calls, 0) as calls,
    coalesce(call_sums.failures, 0) as failures,
    report_runs.total_tokens,
    run_sums.model,
    run_sums.assistant_id,
    report_runs.customer,
    run_sums.spent_usd,
    chosen_days.dearest_days
from run_sums
left join report_runs
    on report_runs.source = run_sums.source
    and report_runs.thread_id = run_sums.thread_id
    and report_runs.run_id = run_sums.run_id
left join call_sums
    on call_sums.source = run_sums.source
    and call_sums.thread_id = run_sums.thread_id
    and call_sums.run_id = run_sums.run_id
left join chosen_days
    on chosen_days.source = run_sums.source
    and chosen_days.thread_id = run_sums.thread_id
    and chosen_days.run_id = run_sums.run_id
where run_sums.place <= 20 or chosen_days.run_id is not null
order by run_sums.spent_usd desc, run_sums.source, run_sums.thread_id, run_sums.run_id;
