-- Tokens that no price covers: models without a price on the day they were used.
-- grain: source, model
-- units: tokens as the server counted them; instants are UTC
-- reads: step_costs
-- model is null where the run, or its model, is unknown. A deployment's own name is the usual cause.
create or replace view unpriced_usage as
select
    source,
    model,
    min(created_at) as first_seen_at,
    max(created_at) as last_seen_at,
    count(distinct (thread_id, run_id)) as runs,
    count(*) as steps,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(cached_tokens) as bigint) as cached_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(reasoning_tokens) as bigint) as reasoning_tokens,
    try_cast(sum(total_tokens) as bigint) as total_tokens
from step_costs
where
    price_id is null
    and (prompt_tokens is not null or completion_tokens is not null or total_tokens is not null)
group by source, model;
