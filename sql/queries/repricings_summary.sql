-- What repricing changed in the costs of sealed runs, newest first.
-- units: US dollars rounded to 6 decimals; instants are UTC
-- params: limit=50
-- total: steps, old_cost_usd, new_cost_usd
-- reads: repricings
select
    repricing_id,
    repriced_at,
    source,
    model,
    old_price_id,
    new_price_id,
    steps,
    round(old_cost_usd, 6) as old_cost_usd,
    round(new_cost_usd, 6) as new_cost_usd
from repricings
order by repriced_at desc, repricing_id, change_index
limit cast($limit as bigint);
