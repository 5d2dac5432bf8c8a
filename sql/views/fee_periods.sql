-- The one fee that holds for a source on a day, as periods that never overlap.
-- grain: source, kind, valid_from
-- units: US dollars for one of its kind; valid_from is included, valid_to is not
-- reads: fees, source_providers
-- Among the rows that hold that day wins: the user's own before the shipped, one for this source only before one for all, one
-- of its sku before one of none, the later valid_from, the greater fee_id. A source is charged by its own provider only, and by
-- own rows that name none; where nobody knows the provider there is no fee, so what it costs is unknown.
create or replace view fee_periods as
with candidates as (
    select
        source_providers.source,
        fees.kind,
        fees.fee_id,
        fees.provider,
        fees.sku,
        fees.valid_from,
        coalesce(fees.valid_to, 'infinity'::date) as ends_on,
        fees.fee_usd,
        fees.only_source,
        fees.origin
    from source_providers
    inner join fees
        on (fees.only_source is null or fees.only_source = source_providers.source)
        and (fees.provider = source_providers.provider or (fees.origin = 'own' and fees.provider is null))
        and (
            coalesce(fees.sku, 'global') = coalesce(source_providers.sku, 'global')
            or (fees.origin = 'own' and fees.sku is null)
        )
),
boundaries as (
    select source, kind, valid_from as starts_on from candidates
    union
    select source, kind, ends_on from candidates
),
periods as (
    select source, kind, starts_on, lead(starts_on) over (partition by source, kind order by starts_on) as ends_on
    from boundaries
)
select
    periods.source,
    periods.kind,
    periods.starts_on as valid_from,
    nullif(periods.ends_on, 'infinity'::date) as valid_to,
    candidates.fee_id,
    candidates.provider,
    candidates.origin,
    candidates.fee_usd
from periods
inner join candidates
    on candidates.source = periods.source
    and candidates.kind = periods.kind
    and candidates.valid_from <= periods.starts_on
    and periods.starts_on < candidates.ends_on
qualify
    row_number() over (
        partition by periods.source, periods.kind, periods.starts_on
        order by
            candidates.origin = 'own' desc,
            candidates.only_source is null,
            candidates.sku is null,
            candidates.valid_from desc,
            candidates.fee_id desc
    ) = 1;
