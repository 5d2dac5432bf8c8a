-- The dearest days, and of each the run and the model that cost most, the model beside its part of all days.
-- grain: day
-- units: US dollars, exact to 12 decimals; shares from 0 to 1
-- reads: report_days, report_spending
with model_sums as (
    select model, sum(spent_usd) as spent_usd
    from report_spending
    group by model
),
day_models as (
    select created_on as day, model, sum(spent_usd) as spent_usd
    from report_spending
    where created_on in (select day from report_days)
    group by created_on, model
    qualify row_number() over (partition by created_on order by sum(spent_usd) desc nulls last, model) = 1
),
run_sums as (
    select created_on as day, sum(spent_usd) as spent_usd
    from report_spending
    where created_on in (select day from report_days)
    group by created_on, source, thread_id, run_id
),
day_runs as (
    select day, max(spent_usd) as dearest_run_usd
    from run_sums
    group by day
)
select
    report_days.day,
    report_days.runs,
    report_days.spent_usd,
    report_days.days,
    report_days.usual_runs,
    report_days.usual_usd,
    day_runs.dearest_run_usd,
    day_models.model,
    day_models.spent_usd / report_days.spent_usd as model_share,
    model_sums.spent_usd / (select sum(spent_usd) from report_spending) as usual_model_share
from report_days
left join day_runs on day_runs.day = report_days.day
left join day_models on day_models.day = report_days.day
left join model_sums on model_sums.model is not distinct from day_models.model
order by report_days.spent_usd desc, report_days.day;
