-- What all usage cost: each step's, and the rest of each run's own usage that its steps do not tell.
-- grain: source, thread_id, run_id, step_id
-- units: US dollars, exact to 12 decimals; tokens as the server counted them; created_on is a UTC date
-- reads: stored_costs, unstored_costs
-- Every sum of money and tokens reads this view. kind: step, or run_rest with the empty step_id. The rest is what the run says
-- beyond the sum of its steps, kind of tokens by kind, never below 0; a run whose steps say nothing is rest as a whole. It shrinks
-- as steps come. It is priced like a step of the run's day, as one request.
-- The cost is at the price in the ledger if the run is sealed, else at the price of the day it was created.
-- cost_usd is null, never 0, when the usage is unknown or cannot be (negative, more cached than prompt tokens, above 1e15)
-- or when the model had no price that day; unpriced_reason says which, null where there are no tokens to pay, and for a step with
-- only a total whose run tells them by kind: they are in
-- the rest, and the step is not unpriced (is_unpriced). Cached tokens are part of the prompt tokens, reasoning tokens of
-- the completion tokens: neither is charged twice. created_on is the run's day where the step's own instant is unknown. The prices are list
-- prices; what is paid is price times discount, rounded to 6 decimals. is_posted: the price is from the ledger.
-- Tokens written to the cache are prompt tokens with a price of their own: cache_write_cost_usd is a part of input_cost_usd.
-- The price is that of the run's tier, for requests of as many prompt tokens. tier_is_known is false where the server did not
-- say the tier: it is then priced as standard. Of assistants those that say none have none but standard.
create or replace view usage_costs as
select columns(*) from stored_costs
union all by name
select columns(*) from unstored_costs;
