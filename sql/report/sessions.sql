-- Fees of the code interpreter, on top of the tokens.
-- grain: source
-- units: US dollars
-- params: source, since
-- reads: code_interpreter_sessions
select
    source,
    count(*) as sessions,
    cast(sum(calls) as bigint) as calls,
    sum(fee_usd) as fee_usd
from code_interpreter_sessions
where
    ($source is null or source = $source)
    and ($since is null or cast(started_at at time zone 'UTC' as date) >= cast($since as date))
group by source
order by source;
