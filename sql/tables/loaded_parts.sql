-- Raw parts that the warehouse holds.
-- grain: part
-- units: size in bytes
-- copy_of: the part that this one repeats, as file synchronisers make copies; nothing was taken from it
create table loaded_parts (
    part varchar not null,
    sync_id varchar not null,
    source varchar not null,
    page_count bigint not null,
    walk_count bigint not null,
    size_bytes bigint not null,
    landed_at timestamptz not null,
    copy_of varchar
);
