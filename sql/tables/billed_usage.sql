-- What the provider says was used or billed: rows of the organization's usage and cost answers and of console exports.
-- grain: source, report, billed_on, project_id, row_index
-- units: tokens as the provider counted them; US dollars, exact to 12 decimals; billed_on is the UTC date of the bucket
-- report: usage (tokens and requests), costs (money). Of each report, day and project the newest import counts.
-- currency: amounts in another currency than usd stay here and are in no sum
create table billed_usage (
    source varchar not null,
    report varchar not null,
    billed_on date not null,
    project_id varchar,
    row_index bigint not null,
    model varchar,
    line_item varchar,
    input_tokens bigint,
    cached_tokens bigint,
    output_tokens bigint,
    requests bigint,
    amount decimal(38, 12),
    currency varchar,
    imported_at timestamptz not null,
    part varchar not null
);
