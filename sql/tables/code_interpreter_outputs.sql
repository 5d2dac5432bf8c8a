-- Outputs of code interpreter calls: logs or an image file.
-- grain: source, thread_id, run_id, step_id, call_index, output_index
-- units: output_index from 0
create table code_interpreter_outputs (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    step_id varchar not null,
    call_index bigint not null,
    output_index bigint not null,
    type varchar,
    logs varchar using compression zstd,
    file_id varchar
);
