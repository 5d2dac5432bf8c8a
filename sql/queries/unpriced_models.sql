-- Models without a price, with the tokens that no total contains.
-- units: tokens; instants are UTC
-- reads: unpriced_usage
select
    source,
    model,
    first_seen_at,
    last_seen_at,
    runs,
    steps,
    prompt_tokens,
    completion_tokens,
    total_tokens
from unpriced_usage
order by total_tokens desc nulls last, source, model;
