-- Pairs of prices that hold for the same name, tier, sku and size of a request on the same day; each day of a name has one price of the same rank.
-- severity: fail
-- reads: prices
-- An own price over a shipped one, or one for a single source over one for all, is meant and no pair; nor are two providers'
-- shipped prices of one name, of which each source takes its provider's.
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
    and later.match = earlier.match
    and later.tier = earlier.tier
    and later.sku is not distinct from earlier.sku
    and later.min_input_tokens = earlier.min_input_tokens
    and later.origin = earlier.origin
    and later.only_source is not distinct from earlier.only_source
    and (later.origin = 'own' or later.provider is not distinct from earlier.provider)
    and (earlier.valid_from, earlier.price_id) < (later.valid_from, later.price_id)
    and later.valid_from < coalesce(earlier.valid_to, 'infinity'::date)
    and later.valid_from < coalesce(later.valid_to, 'infinity'::date)
order by earlier.model, price_id, overlapping_price_id;
