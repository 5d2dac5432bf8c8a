-- Who charges for a source, and for which deployment: as its newest sync says, else from the kind of server that it spoke to.
-- grain: source
-- units: none; provider is openai, azure or null (a compatible server: nobody knows its fees); sku is global, datazone,
-- regional, provisioned or null (not said: priced as global); is_told: a sync has said something of it
-- reads: runs, syncs
-- A source that no sync has told the kind of (imported archives) is taken for the protocol's own provider, and so are gateways.
create or replace view source_providers as
with told as (
    select source, kind, provider, sku
    from syncs
    where coalesce(kind, provider, sku) is not null
    qualify row_number() over (partition by source order by started_at desc, sync_id desc) = 1
),
sources as (
    select source from runs
    union
    select source from told
)
select
    sources.source,
    told.kind,
    case
        when told.provider is not null then told.provider
        when told.kind in ('azure-openai', 'foundry', 'foundry-responses') then 'azure'
        when told.kind = 'compatible' then null
        else 'openai'
    end as provider,
    told.sku,
    told.source is not null as is_told
from sources
left join told on told.source = sources.source;
