-- What tokens cost at a price per million of them, exact to 12 decimals; the price is rounded to 6.
-- Times a millionth, not divided by a million: `/` would make a double.
create or replace macro token_cost(tokens, usd_per_mtok) as
cast(
    cast(tokens * cast(usd_per_mtok as decimal(18, 6)) as decimal(31, 6)) * 0.000001::decimal(7, 6) as decimal(38, 12)
);
