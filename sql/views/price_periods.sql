-- The one price that holds for a model on a day, as periods that never overlap.
-- grain: model, valid_from
-- units: US dollars per million tokens; valid_from is included, valid_to is not (null: still valid)
-- reads: prices
-- Where rows of `prices` overlap, the one that began last wins, then the greater price_id: a cost is never doubled by
-- a second price, and the check price_overlaps names the pair.
create or replace view price_periods as
with boundaries as (
    select model, valid_from as starts_on
    from prices
    union
    select model, valid_to
    from prices
    where valid_to is not null
),
periods as (
    select
        model,
        starts_on,
        lead(starts_on) over (partition by model order by starts_on) as ends_on
    from boundaries
)
select
    periods.model,
    periods.starts_on as valid_from,
    periods.ends_on as valid_to,
    prices.price_id,
    prices.provider,
    prices.input_usd_per_mtok,
    prices.cached_input_usd_per_mtok,
    prices.output_usd_per_mtok
from periods
inner join prices
    on prices.model = periods.model
    and prices.valid_from <= periods.starts_on
    and periods.starts_on < coalesce(prices.valid_to, 'infinity'::date)
qualify row_number() over (
    partition by periods.model, periods.starts_on
    order by prices.valid_from desc, prices.price_id desc
) = 1;
