-- Spend by UTC day and model, and the fees of tools of each day.
-- grain: day, model, is_fee
-- units: US dollars, exact to 12 decimals
-- reads: report_spending
select
    created_on as day,
    case when kind <> 'fee' then model end as model,
    kind = 'fee' as is_fee,
    sum(spent_usd) as spent_usd
from report_spending
where created_on is not null and spent_usd is not null
group by all
order by all;
