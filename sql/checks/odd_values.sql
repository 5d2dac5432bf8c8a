-- Rejects that no total, order or identity depends on, or that the profile calls odd: see the query rejects_summary.
-- severity: warn
-- reads: lost_values
select source, resource, place, reason, count(*) as rejects, min(thread_id) as thread_id, min(run_id) as run_id
from lost_values
where not is_counted or is_odd
group by source, resource, place, reason
order by rejects desc, source, resource, place, reason;
