-- What was spent in the scope of a report: usage with its cost, and fees beside it, each by its own UTC day.
-- grain: kind, source, thread_id, run_id, step_id, fee_kind, created_on
-- units: US dollars, exact to 12 decimals; created_on is a UTC date
-- params: source, since, until
-- reads: spending
-- A row is usage or a fee, so spent_usd is the one of both that is known; of decimals of two scales coalesce would keep the
-- smaller one.
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
    coalesce(total_tokens, cast(prompt_tokens as hugeint) + completion_tokens) as total_tokens,
    cost_usd,
    unpriced_reason,
    fee_usd,
    coalesce(cost_usd, cast(fee_usd as decimal(38, 12))) as spent_usd
from spending
where
    ($source is null or source = $source)
    and ($since is null or created_on >= cast($since as date))
    and ($until is null or created_on <= cast($until as date));
