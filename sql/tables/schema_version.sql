-- The version of this schema; a warehouse of another version is rebuilt from raw.
-- grain: version
create table schema_version (
    version bigint not null,
    pipeline_version varchar not null
);
