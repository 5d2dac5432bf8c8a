-- Raw parts that repeat another, such as copies that a file synchroniser made: they count once and can be removed.
-- severity: warn
-- reads: loaded_parts
select source, part, copy_of
from loaded_parts
where copy_of is not null
order by source, part;
