-- Responses that go on from others: the first one of each chain that is here, and how far this one is from it.
-- grain: source, thread_id, run_id
-- units: depth counts the responses before this one, from 0
-- reads: runs
-- A chain begins with a response that names none before it, or one that is not here (is_cut). Its responses may be of one
-- conversation, or each a thread of its own.
create or replace view run_chains as
with recursive chains as (
    select
        runs.source,
        runs.thread_id,
        runs.run_id,
        runs.thread_id as root_thread_id,
        runs.run_id as root_run_id,
        0 as depth,
        runs.previous_run_id is not null as is_cut
    from runs
    where
        runs.protocol = 'responses'
        and (
            runs.previous_run_id is null
            or (runs.source, runs.previous_run_id) not in (select (source, run_id) from runs where protocol = 'responses')
        )
    union all
    select
        runs.source,
        runs.thread_id,
        runs.run_id,
        chains.root_thread_id,
        chains.root_run_id,
        chains.depth + 1,
        chains.is_cut
    from runs
    inner join chains
        on chains.source = runs.source
        and chains.run_id = runs.previous_run_id
    where runs.protocol = 'responses'
)
select
    source,
    thread_id,
    run_id,
    root_thread_id,
    root_run_id,
    depth,
    is_cut
from chains
qualify row_number() over (partition by source, thread_id, run_id order by depth, root_thread_id, root_run_id) = 1;
