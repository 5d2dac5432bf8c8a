-- Whole numbers of 1e-12 dollars as dollars, exact to 12 decimals; null where they fit into no decimal.
create or replace macro usd_of_pico(pico) as
try_cast(
    cast(pico // 1000000000000 as decimal(38, 0)) as decimal(38, 12)
) + cast(cast(pico % 1000000000000 as decimal(12, 0)) * 0.000000000001::decimal(13, 12) as decimal(13, 12));
