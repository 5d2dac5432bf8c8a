-- Tool calls made again with the same arguments in the same run, and what the repetitions cost.
-- units: US dollars rounded to 6 decimals
-- params: limit=20
-- total: repetitions, cost_usd
-- share: cost_usd
-- reads: repeated_tool_calls
select
    source,
    type,
    name,
    count(*) as repetitions,
    count(distinct (thread_id, run_id)) as runs,
    max(repetition) as most_in_one_run,
    round(sum(cost_usd), 6) as cost_usd
from repeated_tool_calls
group by source, type, name
order by repetitions desc, source, type, name
limit cast($limit as bigint);
