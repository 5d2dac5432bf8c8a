-- The files that file search finds: hits, runs, scores.
-- units: score from 0 to 1
-- params: limit=20
-- total: hits
-- share: hits
-- reads: file_search_results
select
    source,
    file_id,
    max(file_name) as file_name,
    count(*) as hits,
    count(distinct (thread_id, run_id, step_id, call_index)) as calls,
    count(distinct (thread_id, run_id)) as runs,
    round(avg(score), 4) as mean_score,
    round(max(score), 4) as best_score
from file_search_results
group by source, file_id
order by hits desc, source, file_id
limit cast($limit as bigint);
