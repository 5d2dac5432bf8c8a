-- List prices of models, each with the time it held.
-- grain: price_id
-- units: US dollars per million tokens; valid_from is included, valid_to is not (null: still valid)
create table prices (
    price_id varchar not null,
    provider varchar not null,
    model varchar not null,
    valid_from date not null,
    valid_to date,
    input_usd_per_mtok decimal(18, 6) not null,
    cached_input_usd_per_mtok decimal(18, 6),
    output_usd_per_mtok decimal(18, 6) not null,
    source varchar not null
);
