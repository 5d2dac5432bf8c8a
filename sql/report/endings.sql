-- Runs by how they ended, or stand.
-- grain: status
-- units: US dollars, exact to 12 decimals; share from 0 to 1
-- reads: report_runs
select
    status,
    count(*) as runs,
    count(*) / sum(count(*)) over () as share,
    sum(spent_usd) as spent_usd
from report_runs
group by status
order by runs desc, status;
