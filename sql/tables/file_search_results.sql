-- Hits of file search calls; the same file with the same score can be there twice.
-- grain: source, thread_id, run_id, step_id, call_index, result_index
-- units: score from 0 to 1; result_index from 0; content is there only when it was asked for
create table file_search_results (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    step_id varchar not null,
    call_index bigint not null,
    result_index bigint not null,
    file_id varchar,
    file_name varchar,
    score double,
    content json using compression zstd,
    attributes json
);
