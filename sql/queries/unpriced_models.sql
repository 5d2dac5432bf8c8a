-- Tokens that no total of dollars contains, by model and by the reason that they have no cost.
-- units: tokens; instants are UTC
-- reads: unpriced_usage
select
    source,
    model,
    reason,
    first_seen_at,
    last_seen_at,
    runs,
    steps,
    rests,
    prompt_tokens,
    completion_tokens,
    total_tokens
from unpriced_usage
order by total_tokens desc nulls last, source, model, reason;
