-- Syncs: one row for each start; finished_at stays null while one runs or when it was killed.
-- grain: sync_id
-- units: instants are UTC; counts as seen by that sync
-- verdict: complete, incomplete (some threads or walks failed), refused (key, quota), interrupted; null if it was killed
create table syncs (
    sync_id varchar not null,
    source varchar not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    verdict varchar,
    threads bigint,
    threads_failed bigint,
    requests bigint,
    retries bigint,
    pipeline_version varchar not null
);
