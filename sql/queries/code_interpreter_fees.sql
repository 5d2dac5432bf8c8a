-- Code interpreter sessions and their fees by month.
-- units: US dollars rounded to 2 decimals; month is the UTC month in which the sessions began
-- total: fee_usd, sessions, calls
-- share: fee_usd
-- reads: code_interpreter_sessions
select
    source,
    provider,
    strftime(started_at at time zone 'UTC', '%Y-%m') as month,
    count(*) as sessions,
    count(distinct thread_id) as threads,
    cast(sum(calls) as bigint) as calls,
    round(sum(fee_usd), 2) as fee_usd
from code_interpreter_sessions
group by source, provider, month
order by source, month, provider;
