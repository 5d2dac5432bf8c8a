-- What could not be read, by reason.
-- grain: source, reason
-- params: source
-- reads: rejects
select source, reason, count(*) as rejects
from rejects
where $source is null or source = $source
group by source, reason
order by rejects desc, source, reason;
