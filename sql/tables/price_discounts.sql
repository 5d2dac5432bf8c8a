-- The user's discounts on shipped prices: multipliers that are kept beside the list price.
-- grain: discount_id
-- units: discount is what is paid for each dollar of the list price; valid_from is included, valid_to is not (null: still valid)
-- model: a name of the price list, or a pattern with * and ?; only_source: it holds for that source only
create table price_discounts (
    discount_id varchar not null,
    model varchar not null,
    valid_from date not null,
    valid_to date,
    discount decimal(9, 6) not null,
    only_source varchar,
    source varchar not null
);
