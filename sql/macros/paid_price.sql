-- What is paid per million tokens: the list price times the discount, rounded to 6 decimals.
-- The product of the dearest price and the largest discount fits into no DECIMAL(18), which DuckDB would take.
create or replace macro paid_price(usd_per_mtok, discount) as
cast(cast(usd_per_mtok as decimal(24, 6)) * discount as decimal(18, 6));
