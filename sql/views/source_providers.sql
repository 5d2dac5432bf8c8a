-- Who charges for a source: its provider, from the kind of server that its newest sync spoke to.
-- grain: source
-- units: none; provider is openai, azure or null (a compatible server: nobody knows its fees)
-- reads: runs, syncs
-- A source that no sync has told the kind of (imported archives) is taken for the protocol's own provider, and so are gateways.
create or replace view source_providers as
with kinds as (
    select source, kind
    from syncs
    where kind is not null
    qualify row_number() over (partition by source order by started_at desc, sync_id desc) = 1
),
sources as (
    select source from runs
    union
    select source from kinds
)
select
    sources.source,
    kinds.kind,
    case
        when kinds.kind in ('azure-openai', 'foundry') then 'azure'
        when kinds.kind = 'compatible' then null
        else 'openai'
    end as provider
from sources
left join kinds on kinds.source = sources.source;
