-- Tokens that no total of dollars contains, by model and by the reason that they have no cost.
-- units: tokens; instants are UTC
-- total: total_tokens, prompt_tokens, completion_tokens, runs, steps, rests
-- share: total_tokens
-- reads: unpriced_usage
select
    source,
    model,
    reason,
    total_tokens,
    runs,
    steps,
    rests,
    prompt_tokens,
    completion_tokens,
    first_seen_at,
    last_seen_at
from unpriced_usage
order by total_tokens desc nulls last, source, model, reason;
