-- The tools whose steps take longest, by the 95th percentile.
-- units: seconds of the step, as the server tells time in whole seconds
-- params: limit=20, min_steps=1
-- reads: tool_usage
select source, type, name, steps, p50_duration_s, p95_duration_s
from tool_usage
where p95_duration_s is not null and steps >= cast($min_steps as bigint)
order by p95_duration_s desc, steps desc, source, type, name
limit cast($limit as bigint);
