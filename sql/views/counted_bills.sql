-- The rows of bills that count: of reports of one day that are grouped in several ways only one way, so that nothing adds up twice.
-- grain: source, object, billed_on, grouped_by, group_key, row_index
-- units: tokens as the provider counted them; US dollars, exact to 12 decimals; billed_on is the UTC date of the bucket
-- reads: billed_usage
-- What is grouped by model (or line item) goes before what is not, then by project, then by batch, then the newest import. tier: the
-- tier of prices that the row was charged by.
create or replace view counted_bills as
with imports as (
    select
        source,
        report,
        object,
        billed_on,
        grouped_by,
        group_key,
        row_index,
        project_id,
        model,
        line_item,
        coalesce(is_batch, false) as is_batch,
        case
            when is_batch then 'batch'
            when coalesce(service_tier, 'default') in ('auto', 'default', 'standard') then 'standard'
            when service_tier = 'fast' then 'priority'
            else service_tier
        end as tier,
        input_tokens,
        cached_tokens,
        output_tokens,
        requests,
        sessions,
        amount,
        currency,
        max(imported_at) over (partition by source, object, billed_on, grouped_by) as grouped_at
    from billed_usage
)
select columns(* exclude (grouped_at))
from imports
qualify
    dense_rank() over (
        partition by source, object, billed_on
        order by
            list_has_any(string_split(grouped_by, ','), ['model', 'line_item']) desc nulls last,
            list_contains(string_split(grouped_by, ','), 'project_id') desc nulls last,
            list_contains(string_split(grouped_by, ','), 'batch') desc nulls last,
            grouped_at desc,
            grouped_by
    ) = 1;
