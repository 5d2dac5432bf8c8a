-- The tools that fail most, by reason.
-- units: failure_share is the part of the tool's calls that failed for this reason, from 0 to 1
-- params: limit=20
-- total: failures
-- share: failures
-- reads: tool_failures, tool_usage
with failures as (
    select source, type, name, reason, count(*) as failures, max(created_at) as last_failed_at
    from tool_failures
    group by source, type, name, reason
)
select
    failures.source,
    failures.type,
    failures.name,
    failures.reason,
    failures.failures,
    tool_usage.calls,
    round(failures.failures / nullif(tool_usage.calls, 0), 4) as failure_share,
    failures.last_failed_at
from failures
inner join tool_usage
    on tool_usage.source = failures.source
    and tool_usage.type is not distinct from failures.type
    and tool_usage.name is not distinct from failures.name
order by failures.failures desc, failures.source, failures.type, failures.name, failures.reason
limit cast($limit as bigint);
