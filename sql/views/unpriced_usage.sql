-- Tokens without a cost, whatever the reason.
-- grain: source, model, reason
-- units: tokens as the server counted them; instants are UTC
-- reads: usage_costs
-- reason: no price (a deployment's own name is the usual cause), no price of its tier, no model (the run, or its model, is unknown),
-- no day (neither the step nor its run says when), only a total or only a part (prompt without completion, or the other way
-- round: what it cost cannot be known), impossible usage (below 0, more cached than prompt tokens, above 1e15).
-- rests are runs that used such tokens beyond their steps.
create or replace view unpriced_usage as
select
    source,
    model,
    unpriced_reason as reason,
    min(created_at) as first_seen_at,
    max(created_at) as last_seen_at,
    count(distinct (thread_id, run_id)) as runs,
    count(*) filter (where kind = 'step') as steps,
    count(*) filter (where kind = 'run_rest') as rests,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(reasoning_tokens) as bigint) as reasoning_tokens,
    try_cast(sum(total_tokens) as bigint) as total_tokens
from usage_costs
where unpriced_reason is not null
group by source, model, unpriced_reason;
