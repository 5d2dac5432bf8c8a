-- Prices that make no sense: negative, cached input dearer than input, or a time or a size that ends before it begins.
-- severity: fail
-- reads: prices
select
    price_id,
    model,
    valid_from,
    valid_to,
    input_usd_per_mtok,
    cached_input_usd_per_mtok,
    cache_write_usd_per_mtok,
    output_usd_per_mtok
from prices
where
    input_usd_per_mtok < 0
    or cached_input_usd_per_mtok < 0
    or cache_write_usd_per_mtok < 0
    or output_usd_per_mtok < 0
    or cached_input_usd_per_mtok > input_usd_per_mtok
    or valid_to <= valid_from
    or max_input_tokens < min_input_tokens
order by price_id;
