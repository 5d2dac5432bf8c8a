-- Runs whose costs and calls are stored: every row of theirs is in the ledger, so nothing but a load or a repricing changes them.
-- grain: source, thread_id, run_id
-- units: ids
-- What is not here is worked out where it is asked for: without any row all views say the same, later.
create table stored_runs (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null
);
