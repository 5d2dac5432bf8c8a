-- What the names of deployments stand for, as the newest sync of each source was told (`models` of its profile).
-- grain: source, name
-- units: none; model is a name of the price list
-- reads: syncs
create or replace view model_names as
with newest_syncs as (
    select source, models
    from syncs
    where kind is not null
    qualify row_number() over (partition by source order by started_at desc, sync_id desc) = 1
),
entries as (
    select source, models, unnest(json_keys(models)) as name
    from newest_syncs
    where models is not null
)
select
    source,
    name,
    json_extract_string(models, '$."' || replace(replace(name, '\', '\\'), '"', '\"') || '"') as model
from entries;
