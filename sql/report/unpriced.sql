-- Tokens without a cost, whatever the reason.
-- grain: source, model, reason
-- units: tokens as the server counted them; days are UTC dates
-- reads: report_spending
select
    source,
    model,
    unpriced_reason as reason,
    count(distinct (thread_id, run_id)) as runs,
    count(*) filter (where kind = 'step') as steps,
    count(*) filter (where kind = 'run_rest') as rests,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    min(created_on) as first_day,
    max(created_on) as last_day
from report_spending
where unpriced_reason is not null
group by source, model, unpriced_reason
order by total_tokens desc nulls last, source, model, reason;
