-- What the tool calls of the runs in stored_runs cost and how they went, as it was worked out when the runs were posted or repriced.
-- grain: source, thread_id, run_id, step_id, call_index
-- units: as in tool_call_costs, whose columns these are; child_thread_id and child_run_id are as the call names them
-- Nothing is here that could not be worked out anew: the check stored_calls compares.
create table stored_calls (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    step_id varchar not null,
    call_index bigint not null,
    tool_call_id varchar,
    assistant_id varchar,
    model varchar,
    type varchar,
    name varchar,
    created_at timestamptz,
    created_on date,
    arguments_bytes bigint,
    output_bytes bigint,
    method varchar not null,
    cost_usd decimal(38, 12),
    carried_cost_usd decimal(38, 12),
    child_thread_id varchar,
    child_run_id varchar,
    duration_s double,
    failure varchar,
    is_first_of_step boolean not null,
    is_first_of_run boolean not null,
    retries bigint
);
