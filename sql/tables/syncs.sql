-- Syncs: one row for each start; finished_at stays null while one runs or when it was killed.
-- grain: sync_id
-- units: instants are UTC; counts as seen by that sync
-- kind: the kind of server, as in the profile; project: the organization's, if one is set; models: what the names of
-- deployments stand for; odd_fields: fields that are known to be unreadable
-- provider, sku: who charges and for which deployment, where the profile says so
-- content: full or hashed (null: full, as all syncs were once); content_key: the fingerprint of the key it was hidden with
-- unread: files of an import that it could not read all of, with the number of places and the first
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
    kind varchar,
    project varchar,
    models json,
    provider varchar,
    sku varchar,
    odd_fields json,
    content varchar,
    content_key varchar,
    unread json,
    pipeline_version varchar not null
);
