-- Steps of runs, all from the best walk of their run.
-- grain: source, thread_id, run_id, step_id
-- units: tokens as the server counted them; instants are UTC; step_index is the server's ascending order in the run, from 0
create table run_steps (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    step_id varchar not null,
    assistant_id varchar,
    object varchar,
    step_index bigint not null,
    type varchar,
    details_type varchar,
    status varchar,
    created_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    failed_at timestamptz,
    expired_at timestamptz,
    last_error_code varchar,
    last_error_message varchar,
    message_id varchar,
    tool_call_count bigint,
    prompt_tokens bigint,
    cached_tokens bigint,
    cache_write_tokens bigint,
    completion_tokens bigint,
    reasoning_tokens bigint,
    total_tokens bigint,
    metadata json,
    extra json using compression zstd,
    walk_id varchar not null,
    page_index bigint not null
);
