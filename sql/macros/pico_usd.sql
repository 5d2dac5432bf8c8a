-- Dollars, exact to 12 decimals, as whole numbers of 1e-12 dollars: these can be divided, while `/` of decimals makes doubles.
-- In two parts: a product of both would overflow from 1e14 dollars on.
create or replace macro pico_usd(usd) as
cast(trunc(usd) as hugeint) * 1000000000000 + cast((usd - trunc(usd)) * 1000000000000::decimal(13, 0) as hugeint);
