-- Fees beside tokens, each with the time it held: the list that ships with the package and the user's own rows.
-- grain: fee_id
-- units: US dollars for one of its kind (a session, a call, a transaction, 20 minutes); valid_from is included, valid_to is not
-- sku: the deployment that the row is for, datazone, regional or provisioned (null: global, and what tells none; of an own row: any)
-- origin: shipped, own (the user's; wins over shipped). only_source: the row holds for that source only
-- read_on: when the source was read
create table fees (
    fee_id varchar not null,
    provider varchar,
    kind varchar not null,
    sku varchar,
    valid_from date not null,
    valid_to date,
    fee_usd decimal(18, 6) not null,
    source varchar not null,
    read_on date,
    only_source varchar,
    origin varchar not null default 'shipped'
);
