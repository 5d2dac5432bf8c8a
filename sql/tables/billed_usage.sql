-- What the provider says was used or billed: rows of the organization's usage and cost answers and of console exports.
-- grain: source, object, billed_on, grouped_by, group_key, row_index
-- units: tokens as the provider counted them; US dollars, exact to 12 decimals; billed_on is the UTC date of the bucket
-- report: usage (tokens, requests, sessions), costs (money); object: which of the provider's reports it is, such as completions
-- grouped_by: what the report was grouped by, group_key: the values of that. Of each object, day and group the newest import is
-- here; reports of the same day that are grouped otherwise stay side by side, and counted_bills says which of them counts.
-- currency: amounts in another currency than usd stay here and are in no sum
create table billed_usage (
    source varchar not null,
    report varchar not null,
    object varchar,
    billed_on date not null,
    grouped_by varchar,
    group_key varchar,
    project_id varchar,
    row_index bigint not null,
    model varchar,
    line_item varchar,
    is_batch boolean,
    service_tier varchar,
    input_tokens bigint,
    cached_tokens bigint,
    output_tokens bigint,
    requests bigint,
    sessions bigint,
    amount decimal(38, 12),
    currency varchar,
    imported_at timestamptz not null,
    part varchar not null
);
