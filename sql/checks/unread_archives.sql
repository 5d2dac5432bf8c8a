-- Files that were imported and of which places could not be read: what is there is in no table.
-- severity: fail
-- reads: syncs
-- The newest reading of each file counts: a newer version of this program may know what it is.
with unread as (
    select
        source,
        started_at,
        unnest(
            from_json(unread, '[{"file": "varchar", "sha256": "varchar", "places": "bigint", "first": "varchar"}]')
        ) as read_file
    from syncs
    where unread is not null
),
newest as (
    select source, read_file.file as file, read_file.places as places, read_file.first as first_place
    from unread
    qualify row_number() over (partition by source, read_file.sha256 order by started_at desc) = 1
)
select file, first_place, source, places
from newest
where places > 0
order by source, file;
