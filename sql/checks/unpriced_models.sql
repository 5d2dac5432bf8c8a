-- Models that used tokens on days without a price: their cost is unknown and in no total.
-- severity: warn
-- reads: unpriced_usage
select source, model, first_seen_at, last_seen_at, runs, steps, prompt_tokens, completion_tokens, total_tokens
from unpriced_usage
where prompt_tokens > 0 or completion_tokens > 0 or total_tokens > 0
order by source, total_tokens desc, model;
