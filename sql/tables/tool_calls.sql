-- Tool calls in the order of their step.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: call_index from 0; arguments and output are text as sent (code_interpreter: the input and the joined logs)
-- name: the function's, the MCP tool's or the connected agent's name, else the type
-- status and error: the call's own, where the protocol has them (null: it has none, the step's hold)
-- payload: what the columns do not hold, as JSON
create table tool_calls (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    step_id varchar not null,
    call_index bigint not null,
    tool_call_id varchar,
    type varchar,
    name varchar,
    status varchar,
    error varchar using compression zstd,
    arguments varchar using compression zstd,
    output varchar using compression zstd,
    server_label varchar,
    child_thread_id varchar,
    child_run_id varchar,
    payload json using compression zstd
);
