-- What could not be read, by reason and place.
-- units: records
-- params: limit=50
-- total: rejects
-- share: rejects
-- reads: rejects
with places as (
    select
        source,
        resource,
        reason,
        regexp_replace(json_path, '\[[0-9]+\]', '[*]', 'g') as place,
        thread_id,
        run_id,
        left(found, 80) as found
    from rejects
)
select
    source,
    resource,
    reason,
    place,
    count(*) as rejects,
    count(distinct thread_id) as threads,
    count(distinct (thread_id, run_id)) filter (where run_id is not null) as runs,
    min(found) as example
from places
group by source, resource, reason, place
order by rejects desc, source, resource, reason, place
limit cast($limit as bigint);
