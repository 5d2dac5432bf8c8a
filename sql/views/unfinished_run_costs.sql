-- Runs that were paid for and came to nothing: expired, failed, cancelled or incomplete.
-- grain: source, thread_id, run_id
-- units: US dollars, exact to 12 decimals; tokens are the sums over the steps and the rest; created_on is a UTC date
-- reads: run_costs, runs
-- Runs that used tokens without a known price are here too, with no cost.
create or replace view unfinished_run_costs as
select
    run_costs.source,
    run_costs.thread_id,
    run_costs.run_id,
    run_costs.assistant_id,
    run_costs.model,
    run_costs.status,
    run_costs.created_at,
    run_costs.created_on,
    runs.last_error_code,
    runs.last_error_message,
    runs.incomplete_reason,
    run_costs.steps,
    run_costs.unpriced_steps,
    run_costs.unpriced_rests,
    run_costs.prompt_tokens,
    run_costs.completion_tokens,
    run_costs.total_tokens,
    run_costs.cost_usd
from run_costs
inner join runs
    on runs.source = run_costs.source
    and runs.thread_id = run_costs.thread_id
    and runs.run_id = run_costs.run_id
where
    run_costs.status in ('expired', 'failed', 'cancelled', 'incomplete')
    and (run_costs.cost_usd > 0 or (run_costs.cost_usd is null and coalesce(run_costs.prompt_tokens, run_costs.total_tokens) > 0));
