-- Rejects that totals, order or identity depend on: values that could not be read, see the query rejects_summary.
-- severity: fail
-- reads: lost_values
select source, resource, place, reason, count(*) as rejects, min(thread_id) as thread_id, min(run_id) as run_id
from lost_values
where is_counted and not is_odd
group by source, resource, place, reason
order by rejects desc, source, resource, place, reason;
