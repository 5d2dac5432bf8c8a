-- Prices of models, each with the time it held: the list that ships with the package and the user's own rows.
-- grain: price_id
-- units: US dollars per million tokens; valid_from is included, valid_to is not (null: still valid)
-- match: exact (a dated name that never changes its price by itself), alias (a name that its provider moves from model to model),
-- pattern (model holds * for any text and ? for one sign)
-- sku: the deployment that the row is for, datazone or regional (null: global, and what tells none; of an own row: any)
-- tier: standard, batch, flex, priority or a name of the user's own: rates of their own, no factors
-- min_input_tokens, max_input_tokens: the row holds for whole requests of so many input tokens, cached ones included (0, null:
-- no limit); a greater min_input_tokens of the same tier ends it as well
-- cached_input and cache_write: null means that such tokens cost what other input costs
-- stands_for: the dated name that an alias meant at that time, as the provider's bill calls it
-- origin: shipped, own (the user's; wins over shipped). only_source: the row holds for that source only
-- discount: what is paid for each dollar of the price, beside the list price; read_on: when the source was read
create table prices (
    price_id varchar not null,
    provider varchar,
    model varchar not null,
    match varchar not null default 'exact',
    stands_for varchar,
    tier varchar not null default 'standard',
    sku varchar,
    min_input_tokens bigint not null default 0,
    max_input_tokens bigint,
    valid_from date not null,
    valid_to date,
    input_usd_per_mtok decimal(18, 6) not null,
    cached_input_usd_per_mtok decimal(18, 6),
    cache_write_usd_per_mtok decimal(18, 6),
    output_usd_per_mtok decimal(18, 6) not null,
    source varchar not null,
    read_on date,
    discount decimal(9, 6) not null default 1,
    only_source varchar,
    origin varchar not null default 'shipped'
);
