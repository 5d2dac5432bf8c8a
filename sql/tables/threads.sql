-- Registry of threads and how far each one is covered.
-- grain: source, thread_id
-- units: instants are UTC
-- status: known (named, its walks not finished yet), synced, missing (the server answers 404), failed (a walk broke),
-- imported (seen in archives only)
create table threads (
    source varchar not null,
    thread_id varchar not null,
    status varchar not null,
    run_count bigint not null,
    first_seen_at timestamptz not null,
    last_synced_at timestamptz,
    error varchar
);
