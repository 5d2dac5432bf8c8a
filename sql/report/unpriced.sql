-- Tokens that no price covers.
-- grain: source, model
-- units: tokens as the server counted them; days are UTC dates
-- reads: report_steps
select
    source,
    model,
    count(distinct (thread_id, run_id)) as runs,
    count(*) as steps,
    try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    try_cast(sum(completion_tokens) as bigint) as completion_tokens,
    try_cast(sum(total_tokens) as bigint) as total_tokens,
    min(created_on) as first_day,
    max(created_on) as last_day
from report_steps
where
    price_id is null
    and (prompt_tokens is not null or completion_tokens is not null or total_tokens is not null)
group by source, model
order by total_tokens desc nulls last, source, model;
