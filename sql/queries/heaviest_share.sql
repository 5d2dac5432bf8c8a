-- How much of the spend the dearest one per cent of the runs make.
-- units: US dollars rounded to 6 decimals; cost_share from 0 to 1
-- reads: heaviest_runs
select
    source,
    max(priced_runs) as priced_runs,
    count(*) as heaviest_runs,
    round(sum(cost_usd), 6) as cost_usd,
    round(sum(cost_share), 4) as cost_share
from heaviest_runs
group by source
order by source;
