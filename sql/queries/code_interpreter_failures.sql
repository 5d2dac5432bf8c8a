-- Code interpreter calls that failed, newest first, with the last line of their logs.
-- units: instants are UTC
-- params: limit=20
-- reads: tool_failures
select
    source,
    thread_id,
    run_id,
    step_id,
    call_index,
    created_at,
    reason,
    coalesce(
        nullif(regexp_extract(rtrim(output, e' \n\r\t'), '[^\n]*$'), ''),
        error_message
    ) as last_line
from tool_failures
where type = 'code_interpreter'
order by created_at desc nulls last, source, thread_id, run_id, step_id, call_index
limit cast($limit as bigint);
