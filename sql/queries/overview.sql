-- What the warehouse holds: tables with their rows.
-- units: rows
-- reads: threads, runs, run_steps, tool_calls, code_interpreter_outputs, file_search_results, walks, loaded_parts, syncs, rejects, prices, price_discounts, fees, cost_ledger, repricings, billed_usage, schema_version
with counts as (
    select 1 as position, 'threads' as table_name, count(*) as row_count from threads
    union all
    select 2, 'runs', count(*) from runs
    union all
    select 3, 'run_steps', count(*) from run_steps
    union all
    select 4, 'tool_calls', count(*) from tool_calls
    union all
    select 5, 'code_interpreter_outputs', count(*) from code_interpreter_outputs
    union all
    select 6, 'file_search_results', count(*) from file_search_results
    union all
    select 7, 'walks', count(*) from walks
    union all
    select 8, 'loaded_parts', count(*) from loaded_parts
    union all
    select 9, 'syncs', count(*) from syncs
    union all
    select 10, 'rejects', count(*) from rejects
    union all
    select 11, 'prices', count(*) from prices
    union all
    select 12, 'price_discounts', count(*) from price_discounts
    union all
    select 13, 'fees', count(*) from fees
    union all
    select 14, 'cost_ledger', count(*) from cost_ledger
    union all
    select 15, 'repricings', count(*) from repricings
    union all
    select 16, 'billed_usage', count(*) from billed_usage
    union all
    select 17, 'schema_version', count(*) from schema_version
)
select table_name, row_count
from counts
order by position;
