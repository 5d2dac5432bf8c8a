-- Proofs of lists: one row for every list that was walked, however it ended.
-- grain: walk_id
-- units: instants are UTC; pages and items as received
-- first_index: the ascending position of the first item in the server's list; of imported objects, what orders the parts of one
-- import (how many objects, or more, came before; below 0 for a list that is backwards)
-- resource: runs, steps
-- run_status: the run's status when its steps walk began (null for a walk over runs)
-- run_ended_at: when that run ended, by its own word then
-- is_settled: false where that run had ended without usage, with a step that is open, or with another usage than its steps';
-- settle_s: how many seconds after the first such walk the run is asked for again
-- item_order: what the items' created_at show: asc, desc (the server ignored the order that it was asked for; places are turned
-- round), mixed, null (nothing)
-- verdict: complete, missing (404), broken (the server's paging cannot be trusted), failed (the server refused or went away),
-- imported (objects from archives: nobody knows whether there were more)
-- ended_by: has_more_false, empty_page, short_page, whole_answer; null unless complete. Of archives: has_more_false where a recording
-- shows the list from its start to its end; older_missing, newer_missing, gap, unread where a page tells that more is missing, beyond or before
-- after_id (such a walk has no items: see the view cut_lists)
create table walks (
    walk_id varchar not null,
    sync_id varchar not null,
    source varchar not null,
    resource varchar not null,
    thread_id varchar not null,
    run_id varchar,
    run_status varchar,
    run_ended_at timestamptz,
    is_settled boolean,
    settle_s double,
    item_order varchar,
    after_id varchar,
    first_index bigint not null,
    pages bigint not null,
    items bigint not null,
    first_id varchar,
    last_id varchar,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    ended_by varchar,
    verdict varchar not null,
    error varchar,
    part varchar not null
);
