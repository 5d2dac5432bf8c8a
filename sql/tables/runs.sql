-- Runs in the newest state that any walk has seen; a terminal state is never replaced by an earlier one.
-- grain: source, thread_id, run_id
-- units: tokens as the server counted them; instants are UTC; run_index is the server's ascending order in the thread, from 0
-- protocol: assistants, responses or agents; a run is then a run, a response or a turn
-- service_tier: what the server says it charged by (null: it does not say; of assistants only gateways do); is_batch: the run came out of a batch
-- previous_run_id: the run that this one goes on from; subagent_id: who of a session's agents took the turn
-- sealed: the run was terminal before its steps were walked to the end; it is never fetched again
create table runs (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    assistant_id varchar,
    object varchar,
    protocol varchar not null default 'assistants',
    previous_run_id varchar,
    subagent_id varchar,
    status varchar,
    model varchar,
    service_tier varchar,
    is_batch boolean,
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
    cache_write_tokens bigint,
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
