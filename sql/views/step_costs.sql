-- What each step cost: at the price in the ledger if its run is sealed, else at the price of the day it was created.
-- grain: source, thread_id, run_id, step_id
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; created_on is a UTC date
-- reads: usage_costs
-- The steps of usage_costs, which says how a cost is worked out; what runs used beyond their steps is not here.
create or replace view step_costs as
select columns(* exclude (kind))
from usage_costs
where kind = 'step';
