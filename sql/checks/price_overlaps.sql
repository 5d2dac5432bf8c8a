-- Pairs of prices that hold for the same model on the same day; each day of a model has one price.
-- severity: fail
-- reads: prices
select
    earlier.model,
    earlier.price_id as price_id,
    later.price_id as overlapping_price_id,
    later.valid_from as overlaps_from,
    -- least() passes over nulls: an end that is open gives way to one that is not.
    least(earlier.valid_to, later.valid_to) as overlaps_to
from prices as earlier
inner join prices as later
    on later.model = earlier.model
    and (earlier.valid_from, earlier.price_id) < (later.valid_from, later.price_id)
    and later.valid_from < coalesce(earlier.valid_to, 'infinity'::date)
    and later.valid_from < coalesce(later.valid_to, 'infinity'::date)
order by earlier.model, price_id, overlapping_price_id;
