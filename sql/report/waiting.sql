-- Runs that waited for tool outputs when they were last seen.
-- grain: source, assistant_id
-- units: US dollars, exact to 12 decimals
-- reads: waiting_runs, report_runs
select
    waiting_runs.source,
    waiting_runs.assistant_id,
    count(*) as runs,
    cast(sum(waiting_runs.waiting_calls) as bigint) as waiting_calls,
    sum(report_runs.cost_usd) as cost_usd
from waiting_runs
inner join report_runs
    on report_runs.source = waiting_runs.source
    and report_runs.thread_id = waiting_runs.thread_id
    and report_runs.run_id = waiting_runs.run_id
group by waiting_runs.source, waiting_runs.assistant_id
order by runs desc, waiting_runs.source, waiting_runs.assistant_id;
