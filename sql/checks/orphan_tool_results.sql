-- Code interpreter outputs and file search hits whose tool call is not in the warehouse.
-- severity: fail
-- reads: code_interpreter_outputs, file_search_results, tool_calls
with results as (
    select 'code_interpreter_outputs' as table_name, source, thread_id, run_id, step_id, call_index, count(*) as rows_without_call
    from code_interpreter_outputs
    group by source, thread_id, run_id, step_id, call_index
    union all
    select 'file_search_results', source, thread_id, run_id, step_id, call_index, count(*)
    from file_search_results
    group by source, thread_id, run_id, step_id, call_index
)
select
    results.table_name,
    results.source,
    results.thread_id,
    results.run_id,
    results.step_id,
    results.call_index,
    results.rows_without_call
from results
anti join tool_calls
    on tool_calls.source = results.source
    and tool_calls.thread_id = results.thread_id
    and tool_calls.run_id = results.run_id
    and tool_calls.step_id = results.step_id
    and tool_calls.call_index = results.call_index
order by
    results.table_name, results.source, results.thread_id, results.run_id, results.step_id, results.call_index;
