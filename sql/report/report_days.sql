-- The dearest days in the scope of a report, beside a usual one: the median of the days on which something was spent.
-- grain: day
-- units: US dollars, exact to 12 decimals; day is a UTC date
-- reads: report_spending
create temp table report_days as
with day_sums as (
    select
        created_on as day,
        count(distinct (source, thread_id, run_id)) filter (where kind <> 'fee') as runs,
        sum(spent_usd) as spent_usd
    from report_spending
    where created_on is not null
    group by created_on
    having sum(spent_usd) > 0
)
select
    day,
    runs,
    spent_usd,
    count(*) over () as days,
    quantile_disc(runs, 0.5) over () as usual_runs,
    quantile_disc(spent_usd, 0.5) over () as usual_usd
from day_sums
qualify row_number() over (order by spent_usd desc, day) <= 5;
