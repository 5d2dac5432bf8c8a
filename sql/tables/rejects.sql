-- What could not be read, with the reason; the rest of its record is in its table.
-- grain: walk_id, page_index, item_index, reject_index
-- units: indexes from 0; item_index -1 speaks of the whole page
-- json_path: where in the page; found: the raw text at that path
create table rejects (
    walk_id varchar not null,
    page_index bigint not null,
    item_index bigint not null,
    reject_index bigint not null,
    source varchar not null,
    resource varchar not null,
    thread_id varchar,
    run_id varchar,
    object_id varchar,
    reason varchar not null,
    json_path varchar not null,
    found varchar using compression zstd
);
