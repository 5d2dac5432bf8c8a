-- What each thread cost: the exact sum of its runs, and the code interpreter's fees beside it.
-- grain: source, thread_id
-- units: US dollars, exact to 12 decimals; tokens are the sums over the runs
-- reads: run_costs, threads, code_interpreter_sessions
-- cost_usd is tokens only; fee_usd, of all tools, and the code interpreter's part of it are never added into it. thread_status says how far the thread is
-- covered (null: not in the registry). Threads without runs stay, with no cost.
create or replace view thread_costs as
with run_sums as (
    select
        source,
        thread_id,
        count(*) as runs,
        cast(sum(columns('steps$|unpriced_rests|unknown_fees')) as bigint) as '\0',
        min(created_at) as first_run_at,
        max(created_at) as last_run_at,
        try_cast(sum(columns('_tokens$')) as bigint) as '\0',
        sum(columns('cost_usd$')) as '\0',
        sum(fee_usd) as fee_usd
    from run_costs
    group by source, thread_id
),
fee_sums as (
    select
        source,
        thread_id,
        count(*) as code_interpreter_sessions,
        cast(sum(fee_usd) as decimal(38, 12)) as code_interpreter_fee_usd
    from code_interpreter_sessions
    group by source, thread_id
)
select
    coalesce(threads.source, run_sums.source) as source,
    coalesce(threads.thread_id, run_sums.thread_id) as thread_id,
    threads.status as thread_status,
    run_sums.first_run_at,
    run_sums.last_run_at,
    -- A thread without a row of sums has no runs: here 0 is the count, not a missing value.
    coalesce(run_sums.runs, 0) as runs,
    coalesce(run_sums.steps, 0) as steps,
    coalesce(run_sums.priced_steps, 0) as priced_steps,
    coalesce(run_sums.unpriced_steps, 0) as unpriced_steps,
    coalesce(run_sums.unpriced_rests, 0) as unpriced_rests,
    run_sums.prompt_tokens,
    run_sums.cached_tokens,
    run_sums.completion_tokens,
    run_sums.reasoning_tokens,
    run_sums.total_tokens,
    run_sums.input_cost_usd,
    run_sums.cached_cost_usd,
    run_sums.output_cost_usd,
    run_sums.cost_usd,
    run_sums.unattributed_tokens,
    run_sums.unattributed_cost_usd,
    run_sums.fee_usd,
    coalesce(run_sums.unknown_fees, 0) as unknown_fees,
    coalesce(fee_sums.code_interpreter_sessions, 0) as code_interpreter_sessions,
    fee_sums.code_interpreter_fee_usd
from threads
full join run_sums on run_sums.source = threads.source and run_sums.thread_id = threads.thread_id
left join fee_sums
    on fee_sums.source = coalesce(threads.source, run_sums.source)
    and fee_sums.thread_id = coalesce(threads.thread_id, run_sums.thread_id);
