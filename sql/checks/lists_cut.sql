-- Lists of archives that go on where nothing is: import what follows, or sync the thread.
-- severity: fail
-- reads: cut_lists
select
    thread_id,
    run_id,
    source,
    resource,
    how,
    at_id,
    where_found
from cut_lists
order by source, thread_id, run_id, where_found;
