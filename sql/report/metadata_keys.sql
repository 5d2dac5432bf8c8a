-- Keys of the metadata of runs in the scope of a report: on how many runs, with how many values.
-- grain: key
-- units: none
-- reads: report_spending, runs
with keyed_runs as (
    select runs.metadata, unnest(json_keys(runs.metadata)) as key
    from runs
    semi join report_spending
        on report_spending.source = runs.source
        and report_spending.thread_id = runs.thread_id
        and report_spending.run_id = runs.run_id
    where runs.metadata is not null
)
select
    key,
    count(*) as runs,
    count(distinct json_extract_string(metadata, '$."' || replace(replace(key, '\', '\\'), '"', '\"') || '"')) as key_values
from keyed_runs
group by key
order by runs desc, key_values, key;
