-- The version of this schema; a warehouse of another version is rebuilt from raw.
-- grain: version
-- views_sha256: of the SQL of all views, so that they are made anew only where they are others
create table schema_version (
    version bigint not null,
    pipeline_version varchar not null,
    views_sha256 varchar not null
);
