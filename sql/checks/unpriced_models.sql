-- Tokens without a cost, whatever the reason: they are in no total of dollars.
-- severity: warn
-- reads: unpriced_usage
select source, model, reason, first_seen_at, last_seen_at, runs, steps, rests, prompt_tokens, completion_tokens, total_tokens
from unpriced_usage
order by source, total_tokens desc, model, reason;
