-- What `prices reprice` did: one row for each source, model, old price and new price of a repricing.
-- grain: repricing_id, change_index
-- units: US dollars, exact to 12 decimals; the costs are of the steps concerned; instants are UTC
create table repricings (
    repricing_id varchar not null,
    change_index bigint not null,
    repriced_at timestamptz not null,
    source varchar not null,
    model varchar,
    old_price_id varchar,
    new_price_id varchar,
    steps bigint not null,
    old_cost_usd decimal(38, 12),
    new_cost_usd decimal(38, 12),
    pipeline_version varchar not null
);
