-- What was spent in the scope of a report: usage with its cost, and fees beside it, each by its own UTC day.
-- grain: kind, source, thread_id, run_id, step_id, fee_kind, created_on
-- units: US dollars, exact to 12 decimals; created_on is a UTC date
-- params: source, since
-- reads: spending
create temp table report_spending as
select
    kind,
    source,
    thread_id,
    run_id,
    step_id,
    fee_kind,
    assistant_id,
    model,
    created_on,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    total_tokens,
    cost_usd,
    unattributed_cost_usd,
    is_unpriced,
    unpriced_reason,
    fee_usd
from spending
where
    ($source is null or source = $source)
    and ($since is null or created_on >= cast($since as date));
