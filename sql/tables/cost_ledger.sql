-- What sealed runs cost, step by step and the rest of each run that no step tells (step_id is empty), at the price that held when they were loaded; only `prices reprice` changes it.
-- Finished runs that are known from archives only are here as well: nothing will ever seal them.
-- grain: source, thread_id, run_id, step_id
-- units: US dollars, exact to 12 decimals; prices are list prices in US dollars per million tokens; discount is paid per dollar
-- price_id is null where the model had no price: that is kept too. match and priced_model say which row of `prices` it was.
-- sealed_at: the end of the walk that the steps come from. A walk that is repeated (`sync --full`) may bring other tokens:
-- they are charged at the price that is here, also where it brings steps whose tokens were in the rest. With the price book
-- unchanged these are priced like all others: by their own day and size.
create table cost_ledger (
    source varchar not null,
    thread_id varchar not null,
    run_id varchar not null,
    step_id varchar not null,
    price_id varchar,
    match varchar,
    priced_model varchar,
    input_usd_per_mtok decimal(18, 6),
    cached_input_usd_per_mtok decimal(18, 6),
    cache_write_usd_per_mtok decimal(18, 6),
    output_usd_per_mtok decimal(18, 6),
    discount decimal(9, 6),
    input_cost_usd decimal(38, 12),
    cached_cost_usd decimal(38, 12),
    output_cost_usd decimal(38, 12),
    cost_usd decimal(38, 12),
    sealed_at timestamptz
);
