-- What explain-change takes apart: runs, steps, tokens and costs between two days, by group, model and tier of service.
-- units: US dollars, exact to 12 decimals; days are UTC dates, until is the last one; prompt tokens are those not from the cache
-- params: since=1970-01-01, until=9999-12-31, by=model, key=customer, source=
-- reads: usage_costs, tool_call_costs, runs
-- by: all, model, assistant, tool, or metadata with its key. Steps belong to the day they were created on, so a run that goes
-- on into another period counts in both. What a run used beyond its steps (its rest) is of the run's day: rest_* have its tokens
-- and costs, and no step is counted for it.
-- runs, steps, tokens and costs are of what has a cost; unpriced_steps and unpriced_rests have none, unpriced_tokens are theirs.
-- By tool runs and steps are the tool's calls, which have a cost only as a whole; steps that call none, and rests, are a group
-- without a name.
with steps as (
    select
        usage_costs.kind,
        usage_costs.source,
        usage_costs.thread_id,
        usage_costs.run_id,
        usage_costs.step_id,
        case $by
            when 'all' then null
            when 'model' then usage_costs.model
            when 'assistant' then usage_costs.assistant_id
            when 'metadata'
            then json_extract_string(runs.metadata, '/' || replace(replace(cast($key as varchar), '~', '~0'), '/', '~1'))
            when 'tool' then null
            else error('by is all, model, assistant, tool or metadata')
        end as what,
        usage_costs.model,
        usage_costs.tier,
        usage_costs.prompt_tokens,
        coalesce(usage_costs.cached_tokens, 0) as cached_tokens,
        coalesce(usage_costs.cache_write_tokens, 0) as cache_write_tokens,
        usage_costs.completion_tokens,
        coalesce(
            usage_costs.total_tokens,
            cast(coalesce(usage_costs.prompt_tokens, 0) as hugeint) + coalesce(usage_costs.completion_tokens, 0)
        ) as total_tokens,
        usage_costs.input_cost_usd,
        usage_costs.cached_cost_usd,
        usage_costs.cache_write_cost_usd,
        usage_costs.output_cost_usd,
        usage_costs.cost_usd,
        usage_costs.is_unpriced
    from usage_costs
    left join runs
        on runs.source = usage_costs.source
        and runs.thread_id = usage_costs.thread_id
        and runs.run_id = usage_costs.run_id
    where
        usage_costs.created_on between cast($since as date) and cast($until as date)
        and ($source = '' or usage_costs.source = $source)
),
calls as (
    select
        steps.kind,
        steps.model,
        steps.tier,
        if(tool_call_costs.step_id is null, null, coalesce(tool_call_costs.name, tool_call_costs.type, '?')) as what,
        if(tool_call_costs.step_id is null, steps.cost_usd, tool_call_costs.cost_usd) as cost_usd,
        steps.total_tokens,
        steps.is_unpriced and (tool_call_costs.step_id is null or tool_call_costs.cost_usd is null) as is_unpriced,
        coalesce(tool_call_costs.is_first, true) as is_counted
    from steps
    left join (
        select
            source,
            thread_id,
            run_id,
            step_id,
            type,
            name,
            cost_usd,
            call_index = min(call_index) over (partition by source, thread_id, run_id, step_id) as is_first
        from tool_call_costs
    ) as tool_call_costs
        on tool_call_costs.source = steps.source
        and tool_call_costs.thread_id = steps.thread_id
        and tool_call_costs.run_id = steps.run_id
        and tool_call_costs.step_id = steps.step_id
)
select
    what,
    model,
    tier,
    count(distinct (source, thread_id, run_id)) filter (where cost_usd is not null) as runs,
    count(cost_usd) filter (where kind = 'step') as steps,
    sum(cast(prompt_tokens as hugeint) - cached_tokens - cache_write_tokens) filter (where cost_usd is not null and kind = 'step') as prompt_tokens,
    sum(cached_tokens) filter (where cost_usd is not null and kind = 'step') as cached_tokens,
    sum(cache_write_tokens) filter (where cost_usd is not null and kind = 'step') as cache_write_tokens,
    sum(completion_tokens) filter (where cost_usd is not null and kind = 'step') as completion_tokens,
    sum(input_cost_usd - cache_write_cost_usd) filter (where cost_usd is not null and kind = 'step') as prompt_cost_usd,
    sum(cached_cost_usd) filter (where cost_usd is not null and kind = 'step') as cached_cost_usd,
    sum(cache_write_cost_usd) filter (where cost_usd is not null and kind = 'step') as cache_write_cost_usd,
    sum(output_cost_usd) filter (where cost_usd is not null and kind = 'step') as completion_cost_usd,
    sum(cast(prompt_tokens as hugeint) - cached_tokens - cache_write_tokens) filter (where cost_usd is not null and kind = 'run_rest') as rest_prompt_tokens,
    sum(cached_tokens) filter (where cost_usd is not null and kind = 'run_rest') as rest_cached_tokens,
    sum(cache_write_tokens) filter (where cost_usd is not null and kind = 'run_rest') as rest_cache_write_tokens,
    sum(completion_tokens) filter (where cost_usd is not null and kind = 'run_rest') as rest_completion_tokens,
    sum(input_cost_usd - cache_write_cost_usd) filter (where cost_usd is not null and kind = 'run_rest') as rest_prompt_cost_usd,
    sum(cached_cost_usd) filter (where cost_usd is not null and kind = 'run_rest') as rest_cached_cost_usd,
    sum(cache_write_cost_usd) filter (where cost_usd is not null and kind = 'run_rest') as rest_cache_write_cost_usd,
    sum(output_cost_usd) filter (where cost_usd is not null and kind = 'run_rest') as rest_completion_cost_usd,
    sum(cost_usd) as cost_usd,
    count(*) filter (where is_unpriced and kind = 'step') as unpriced_steps,
    count(*) filter (where is_unpriced and kind = 'run_rest') as unpriced_rests,
    sum(total_tokens) filter (where is_unpriced) as unpriced_tokens
from steps
where $by <> 'tool'
group by what, model, tier
union all by name
select
    what,
    model,
    tier,
    count(cost_usd) as runs,
    count(cost_usd) as steps,
    sum(cost_usd) as cost_usd,
    count(*) filter (where is_unpriced and is_counted and kind = 'step') as unpriced_steps,
    count(*) filter (where is_unpriced and is_counted and kind = 'run_rest') as unpriced_rests,
    sum(total_tokens) filter (where is_unpriced and is_counted) as unpriced_tokens
from calls
where $by = 'tool'
group by what, model, tier
order by what, model, tier;
