-- Runs in the newest state that any walk has seen; a terminal state is never replaced by an earlier one.
-- grain: source, thread_id, run_id
-- units: tokens as the server counted them; instants are UTC; run_index is the server's ascending order in the thread, from 0
-- sealed: the run was terminal before its steps were walked to the end; it is never fetched again
create table runs (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    assistant_id varchar,
    object varchar,
    status varchar,
    model varchar,
    created_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    failed_at timestamptz,
    expires_at timestamptz,
    last_error_code varchar,
    last_error_message varchar,
    incomplete_reason varchar,
    prompt_tokens bigint,
    cached_tokens bigint,
    completion_tokens bigint,
    reasoning_tokens bigint,
    total_tokens bigint,
    instructions varchar using compression zstd,
    tools json using compression zstd,
    metadata json using compression zstd,
    extra json using compression zstd,
    sealed boolean not null,
    run_index bigint,
    observed_at timestamptz not null,
    walk_id varchar not null,
    page_index bigint not null
);
