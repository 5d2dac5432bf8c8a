-- Responses that are in two threads: one state says of which conversation it is, another does not. Import both together.
-- severity: fail
-- sum: doubled_usd
-- reads: run_costs, runs
-- Their ids are nobody else's. Ids of runs may be: some servers number them in each thread.
-- doubled_usd is what is counted more than once.
select
    run_costs.source,
    run_costs.run_id,
    array_to_string(list(run_costs.thread_id order by run_costs.thread_id), ', ') as threads,
    sum(run_costs.cost_usd) - max(run_costs.cost_usd) as doubled_usd
from run_costs
inner join runs
    on runs.source = run_costs.source
    and runs.thread_id = run_costs.thread_id
    and runs.run_id = run_costs.run_id
where runs.protocol = 'responses'
group by run_costs.source, run_costs.run_id
having count(*) > 1
order by doubled_usd desc nulls last, run_costs.source, run_costs.run_id;
