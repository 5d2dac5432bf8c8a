-- The one price that holds for a name on a day, as periods that never overlap; names are those of runs, bills and the list.
-- grain: source, model, tier, min_input_tokens, valid_from
-- units: US dollars per million tokens, after the discount; list prices are before it; valid_from is included, valid_to is not
-- reads: prices, price_discounts, runs, billed_usage, model_names, source_providers
-- Each tier of service has prices of its own. Of one tier's rows that won, each holds for requests of at least min_input_tokens
-- and fewer than below_input_tokens (null: no end). A source that says its sku is priced by rows of that sku only, and by own
-- rows that name none; a shipped row without a sku is for global deployments and for sources that say nothing.
-- A deployment's name stands for its model (model_names). Among the rows that hold that day wins: the user's own before the
-- shipped, one for this source only before one for all, one of the sku before one of none, exact before alias before pattern, the source's own provider before
-- another, the longer pattern, the later valid_from, the greater price_id. A source of Azure is priced by rows of azure and by
-- rows that name no provider, never by another provider's; for every other source (gateways and compatible servers count as
-- openai) a shipped row of another provider holds for names of which openai has no row, exact, alias or pattern as that row is. A discount row counts for shipped prices; an own price has its own discount.
-- Paid prices are rounded to 6 decimals, so that every cost is exact to 12. match: the rule that found the row.
create or replace view price_periods as
with sources as (
    select source from runs
    union
    select source from billed_usage
),
names as (
    select source, model from runs where model is not null
    union
    select source, model from billed_usage where model is not null
    union
    select sources.source, prices.model
    from sources
    cross join prices
    where prices.match <> 'pattern'
)
select columns(*)
from price_periods_of('names');
