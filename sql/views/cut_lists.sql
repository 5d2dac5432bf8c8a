-- Lists of archives that go on where nothing is: a recorded page says that there are more, or follows on one that is not here.
-- grain: walk_id
-- units: instants are UTC
-- reads: walks, run_steps, runs
-- resource: runs (of a thread), steps (of a run). how: older_missing, newer_missing (what lies beyond at_id in that direction),
-- gap (the page that ends with at_id is missing), unread (a page has an item that could not be read). where_found names the file and the place.
-- Leaves out lists that go on in another archive or import, or that a sync or a recording has whole.
create or replace view cut_lists as
with cuts as (
    select
        walk_id,
        source,
        resource,
        thread_id,
        run_id,
        ended_by as how,
        after_id as at_id,
        error as where_found,
        started_at as imported_at
    from walks
    where verdict = 'imported' and ended_by in ('older_missing', 'newer_missing', 'gap', 'unread')
),
whole_lists as (
    select distinct
        source,
        resource,
        thread_id,
        run_id
    from walks
    where verdict = 'complete' or (verdict = 'imported' and ended_by = 'has_more_false')
),
items as (
    select
        run_steps.source,
        'steps' as resource,
        run_steps.thread_id,
        run_steps.run_id,
        run_steps.step_id as item_id,
        run_steps.step_index as place,
        run_steps.walk_id
    from run_steps
    where
        (run_steps.source, run_steps.thread_id, run_steps.run_id)
        in (select (source, thread_id, run_id) from cuts where resource = 'steps')
    union all
    select
        runs.source,
        'runs' as resource,
        runs.thread_id,
        null as run_id,
        runs.run_id as item_id,
        epoch(runs.created_at) as place,
        runs.walk_id
    from runs
    where (runs.source, runs.thread_id) in (select (source, thread_id) from cuts where resource = 'runs')
),
ends as (
    select
        cuts.walk_id,
        bool_or(items.item_id = cuts.at_id and cuts.how = 'gap') as is_closed,
        max(items.place) filter (where items.item_id = cuts.at_id) as place,
        max(items.walk_id) filter (where items.item_id = cuts.at_id) as item_walk_id
    from cuts
    left join items
        on
            items.source = cuts.source
            and items.resource = cuts.resource
            and items.thread_id = cuts.thread_id
            and items.run_id is not distinct from cuts.run_id
    group by cuts.walk_id
),
followed as (
    select distinct cuts.walk_id
    from cuts
    inner join ends on ends.walk_id = cuts.walk_id
    inner join items
        on
            items.source = cuts.source
            and items.resource = cuts.resource
            and items.thread_id = cuts.thread_id
            and items.run_id is not distinct from cuts.run_id
    where
        (cuts.how = 'older_missing' and items.place < ends.place)
        or (cuts.how = 'newer_missing' and items.place > ends.place)
        -- Runs of one second: those of another part of an import are not of the same page.
        or (
            cuts.resource = 'runs'
            and cuts.how <> 'gap'
            and items.place = ends.place
            and items.walk_id <> ends.item_walk_id
        )
)
select
    cuts.walk_id,
    cuts.source,
    cuts.resource,
    cuts.thread_id,
    cuts.run_id,
    cuts.how,
    cuts.at_id,
    cuts.where_found,
    cuts.imported_at
from cuts
inner join ends on ends.walk_id = cuts.walk_id
left join whole_lists
    on
        whole_lists.source = cuts.source
        and whole_lists.resource = cuts.resource
        and whole_lists.thread_id = cuts.thread_id
        and whole_lists.run_id is not distinct from cuts.run_id
where
    whole_lists.source is null
    and not coalesce(ends.is_closed, false)
    and cuts.walk_id not in (select walk_id from followed);
