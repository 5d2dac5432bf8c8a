-- Where the provider's bill and our costs differ most, with what could explain it.
-- units: US dollars rounded to 6 decimals; day is a UTC date; a difference is null where a part of either side is unknown
-- params: limit=30
-- reads: reconciliation
select
    source,
    day,
    project_id,
    model,
    round(coalesce(billed_usd, list_usd), 6) as billed_usd,
    round(priced_usd, 6) as priced_usd,
    round(computed_usd, 6) as computed_usd,
    computed_from,
    round(difference_usd, 6) as difference_usd,
    array_to_string(explanations, '; ') as explanations
from reconciliation
where len(explanations) > 0
order by
    abs(reconciliation.difference_usd) desc nulls last,
    coalesce(reconciliation.billed_usd, reconciliation.list_usd) desc nulls last,
    source,
    day,
    project_id,
    model
limit cast($limit as bigint);
