-- Values of the source that are in no column, because they could not be read: what of `rejects` still stands.
-- grain: walk_id, page_index, item_index, reject_index
-- place: the field below its run or step, [*] for any item of a list, or "the page", "the item" where all of it is lost
-- is_counted: totals, order or identity depend on it; is_odd: the profile of the last sync says that it is known to be so
-- reads: rejects, walks, syncs
create or replace view lost_values as
with odd_fields as (
    select source, unnest(cast(arg_max(odd_fields, started_at) as varchar[])) as field
    from syncs
    group by source
),
places as (
    select
        walk_id,
        page_index,
        item_index,
        reject_index,
        source,
        resource,
        thread_id,
        run_id,
        object_id,
        reason,
        regexp_replace(
            regexp_replace(json_path, '^\$(\.data\[[0-9]+\])?\.?', ''), '\[[0-9]+\]', '[*]', 'g'
        ) as field
    from rejects
)
select
    places.walk_id,
    places.page_index,
    places.item_index,
    places.reject_index,
    walks.sync_id,
    walks.part,
    places.source,
    places.resource,
    places.thread_id,
    places.run_id,
    places.object_id,
    places.reason,
    case
        when places.field <> '' then places.field
        when places.item_index = -1 then 'the page'
        else 'the item'
    end as place,
    (places.field = '' and places.reason not like 'text that is not Unicode%')
    or regexp_matches(places.field, '^usage(\.|$)')
    or regexp_matches(places.field, '(^|\.)(id|[a-z_]+_id|[a-z_]+_at|model|service_tier|status|type|name)$')
    or regexp_matches(places.field, '^(step_details(\.tool_calls(\[\*\])?)?|output(\[\*\])?)$') as is_counted,
    exists (
        select 1
        from odd_fields
        where odd_fields.source = places.source
            and (places.field = odd_fields.field or starts_with(places.field, odd_fields.field || '.'))
    ) as is_odd
from places
left join walks on walks.walk_id = places.walk_id;
