-- The provider's bill beside what we computed, by day, project and model, with what could explain the difference.
-- grain: source, day, project_id, model
-- units: US dollars, exact to 12 decimals; tokens; day is the UTC date
-- reads: billed_usage, counted_bills, usage_costs, runs, price_periods, syncs, threads
-- billed_usd is the money of the cost report, in US dollars only; list_usd is what our price book makes of the tokens of the
-- usage report. priced_usd is what the steps and rests cost whose cost is known, unpriced_steps and unpriced_rests count the others (no price, or
-- no usage).
-- computed_usd is null, never a part of it, where the cost of a step is unknown; computed_from says how much of it is known:
-- all steps, some steps (partly unpriced), no step (unpriced), nothing synced (no step that could be of this row: computed_usd is
-- 0) or unnamed steps (none of this name, but some that day without a price or without a project may be of it).
-- difference_usd is billed (where there is no cost report: list_usd) minus computed; null where either is unknown or the bill is in
-- another currency in part and, for a row that the bill does not have, where no bill covers the day or the row's project is
-- unknown and the bill has the model in some project. model is the dated name: an
-- alias is counted as what it stood for. Rows without a model are line items of the bill that are no model's tokens (storage,
-- sessions). Our steps belong to the project of the newest sync, or else to the only project of the bill, if it has but one.
-- rests are those of runs that no step tells; where a state says steps, they are meant too. Usage of batches is priced as such, and told.
-- explanations: everything that could explain a difference, empty only where it is 0; what nothing explains is unexplained.
create or replace view reconciliation as
with newest_syncs as (
    select source, project
    from syncs
    where kind is not null
    qualify row_number() over (partition by source order by started_at desc, sync_id desc) = 1
),
only_projects as (
    select source, min(project_id) as project_id
    from billed_usage
    group by source
    having count(distinct project_id) = 1
),
named_steps as (
    select
        named_usages.source,
        named_usages.kind,
        named_usages.created_on as day,
        coalesce(newest_syncs.project, only_projects.project_id) as project_id,
        coalesce(price_periods.stands_for, price_periods.priced_model, named_usages.model) as model,
        named_usages.price_id,
        named_usages.prompt_tokens,
        named_usages.cached_tokens,
        named_usages.completion_tokens,
        named_usages.total_tokens,
        named_usages.cost_usd,
        -- A step without usage is no gap where its run tells what it used: that is in the run's rest.
        named_usages.cost_usd is null
        and (
            named_usages.unpriced_reason is not null
            or coalesce(
                named_usages.prompt_tokens, named_usages.total_tokens, runs.prompt_tokens, runs.completion_tokens, runs.total_tokens
            ) is null
        ) as is_unknown
    from usage_costs as named_usages
    left join runs
        on runs.source = named_usages.source
        and runs.thread_id = named_usages.thread_id
        and runs.run_id = named_usages.run_id
    left join newest_syncs on newest_syncs.source = named_usages.source
    left join only_projects on only_projects.source = named_usages.source
    left join price_periods
        on price_periods.source = named_usages.source
        and price_periods.model = named_usages.model
        and price_periods.match <> 'pattern'
        and price_periods.tier = 'standard'
        and price_periods.min_input_tokens = 0
        and price_periods.valid_from <= named_usages.created_on
        and named_usages.created_on < coalesce(price_periods.valid_to, 'infinity'::date)
),
computed as (
    select
        source,
        day,
        project_id,
        model,
        count(*) filter (where kind = 'step') as steps,
        count(*) filter (where kind = 'run_rest') as rests,
        -- Of no tokens the cost is known without a price.
        count(*) filter (where is_unknown and kind = 'step') as unpriced_steps,
        count(*) filter (where is_unknown and kind = 'run_rest') as unpriced_rests,
        try_cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        try_cast(sum(cached_tokens) as bigint) as cached_tokens,
        try_cast(sum(completion_tokens) as bigint) as completion_tokens,
        cast(sum(cost_usd) as decimal(38, 12)) as priced_usd,
        list_sort(list(distinct price_id) filter (where price_id is not null)) as price_ids
    from named_steps
    where day is not null
    group by source, day, project_id, model
),
billed_rows as (
    select
        counted_bills.source,
        counted_bills.billed_on as day,
        counted_bills.project_id,
        counted_bills.model,
        counted_bills.report,
        counted_bills.input_tokens,
        counted_bills.cached_tokens,
        counted_bills.output_tokens,
        counted_bills.requests,
        counted_bills.is_batch,
        case when counted_bills.currency = 'usd' then counted_bills.amount end as amount_usd,
        counted_bills.currency <> 'usd' as is_foreign,
        -- The provider counts cached tokens as part of the input tokens.
        cast(
            cast(
                cast(counted_bills.input_tokens - coalesce(counted_bills.cached_tokens, 0) as decimal(19, 0))
                * price_periods.input_usd_per_mtok as decimal(31, 6)
            ) * 0.000001::decimal(7, 6) as decimal(38, 12)
        )
        + cast(
            cast(
                cast(coalesce(counted_bills.cached_tokens, 0) as decimal(19, 0))
                * coalesce(price_periods.cached_input_usd_per_mtok, price_periods.input_usd_per_mtok) as decimal(31, 6)
            ) * 0.000001::decimal(7, 6) as decimal(38, 12)
        )
        + cast(
            cast(
                cast(counted_bills.output_tokens as decimal(19, 0)) * price_periods.output_usd_per_mtok as decimal(31, 6)
            ) * 0.000001::decimal(7, 6) as decimal(38, 12)
        ) as list_usd
    from counted_bills
    left join price_periods
        on price_periods.source = counted_bills.source
        and price_periods.model = counted_bills.model
        and price_periods.tier = counted_bills.tier
        and price_periods.min_input_tokens = 0
        and price_periods.valid_from <= counted_bills.billed_on
        and counted_bills.billed_on < coalesce(price_periods.valid_to, 'infinity'::date)
),
billed as (
    select
        source,
        day,
        project_id,
        model,
        count(*) filter (where report = 'costs') as cost_rows,
        count(*) filter (where is_foreign) as foreign_rows,
        try_cast(sum(input_tokens) as bigint) as input_tokens,
        try_cast(sum(cached_tokens) as bigint) as cached_tokens,
        try_cast(sum(output_tokens) as bigint) as output_tokens,
        try_cast(sum(requests) as bigint) as requests,
        cast(sum(amount_usd) as decimal(38, 12)) as billed_usd,
        -- Of tokens of which some have no price the whole is unknown.
        case
            when count(*) filter (where report = 'usage' and input_tokens is not null and list_usd is null) = 0
            then cast(sum(list_usd) as decimal(38, 12))
        end as list_usd,
        try_cast(sum(coalesce(cast(input_tokens as hugeint), 0) + coalesce(output_tokens, 0)) filter (where is_batch) as bigint) as batch_tokens
    from billed_rows
    group by source, day, project_id, model
),
open_threads as (
    select source, count(*) as threads
    from threads
    where status in ('known', 'failed')
    group by source
),
billed_days as (
    select source, min(billed_on) as first_on, max(billed_on) as last_on
    from billed_usage
    group by source
),
-- Steps that may be of a row of the bill though they are not of its name or project: no price says what their name stands for,
-- or nobody knows their project.
unnamed_steps as (
    select billed.source, billed.day, billed.project_id, billed.model, cast(sum(computed.steps + computed.rests) as bigint) as steps
    from billed
    inner join computed
        on computed.source = billed.source
        and computed.day = billed.day
        and (computed.project_id is null or computed.project_id is not distinct from billed.project_id)
        and (computed.model = billed.model or (computed.price_ids is null and computed.unpriced_steps + computed.unpriced_rests > 0))
        and (computed.project_id, computed.model) is distinct from (billed.project_id, billed.model)
    where
        not exists (
            select 1
            from billed as named
            where
                named.source = computed.source
                and named.day = computed.day
                and named.project_id is not distinct from computed.project_id
                and named.model is not distinct from computed.model
        )
    group by billed.source, billed.day, billed.project_id, billed.model
),
compared as (
    select
        coalesce(billed.source, computed.source) as source,
        coalesce(billed.day, computed.day) as day,
        coalesce(billed.project_id, computed.project_id) as project_id,
        coalesce(billed.model, computed.model) as model,
        billed.source is not null as is_billed,
        computed.source is not null as is_computed,
        coalesce(billed.foreign_rows, 0) as foreign_rows,
        billed.requests,
        billed.input_tokens as billed_input_tokens,
        computed.prompt_tokens,
        billed.output_tokens as billed_output_tokens,
        computed.completion_tokens,
        coalesce(computed.steps, 0) as steps,
        coalesce(computed.rests, 0) as rests,
        coalesce(computed.unpriced_steps, 0) as unpriced_steps,
        coalesce(computed.unpriced_rests, 0) as unpriced_rests,
        coalesce(unnamed_steps.steps, 0) as unnamed_steps,
        computed.price_ids,
        billed.billed_usd,
        billed.list_usd,
        billed.batch_tokens,
        computed.priced_usd
    from billed
    full join computed
        on computed.source = billed.source
        and computed.day = billed.day
        and computed.project_id is not distinct from billed.project_id
        and computed.model is not distinct from billed.model
    left join unnamed_steps
        on unnamed_steps.source = billed.source
        and unnamed_steps.day = billed.day
        and unnamed_steps.project_id is not distinct from billed.project_id
        and unnamed_steps.model = billed.model
),
computations as (
    select
        source,
        day,
        project_id,
        model,
        is_billed,
        is_computed,
        foreign_rows,
        requests,
        billed_input_tokens,
        prompt_tokens,
        billed_output_tokens,
        completion_tokens,
        steps,
        rests,
        unpriced_steps,
        unpriced_rests,
        unnamed_steps,
        price_ids,
        billed_usd,
        list_usd,
        batch_tokens,
        priced_usd,
        case
            when not is_computed and unnamed_steps > 0 then 'unnamed steps'
            when not is_computed then 'nothing synced'
            when unpriced_steps + unpriced_rests = 0 then 'all steps'
            when priced_usd is null then 'no step'
            else 'some steps'
        end as computed_from,
        case
            when not is_computed and unnamed_steps > 0 or unpriced_steps + unpriced_rests > 0 then null
            else coalesce(priced_usd, 0)
        end as computed_usd
    from compared
),
differences as (
    select
        computations.source,
        computations.day,
        computations.project_id,
        computations.model,
        computations.is_billed,
        computations.is_computed,
        computations.foreign_rows,
        computations.requests,
        computations.billed_input_tokens,
        computations.prompt_tokens,
        computations.billed_output_tokens,
        computations.completion_tokens,
        computations.steps,
        computations.rests,
        computations.unpriced_steps,
        computations.unpriced_rests,
        computations.unnamed_steps,
        computations.price_ids,
        computations.billed_usd,
        computations.list_usd,
        computations.batch_tokens,
        computations.priced_usd,
        computations.computed_from,
        computations.computed_usd,
        case
            when computations.foreign_rows > 0 then null
            when computations.is_billed
            then cast(coalesce(computations.billed_usd, computations.list_usd) - computations.computed_usd as decimal(38, 12))
            -- Its project is not known: it may be in the bill.
            when computations.project_id is null and exists (
                select 1
                from billed
                where
                    billed.source = computations.source
                    and billed.day = computations.day
                    and billed.model = computations.model
            )
            then null
            when computations.day between billed_days.first_on and billed_days.last_on
            then cast(-computations.computed_usd as decimal(38, 12))
        end as difference_usd
    from computations
    left join billed_days on billed_days.source = computations.source
),
explained as (
    select
        differences.source,
        differences.day,
        differences.project_id,
        differences.model,
        differences.requests,
        differences.billed_input_tokens,
        differences.prompt_tokens,
        differences.billed_output_tokens,
        differences.completion_tokens,
        differences.steps,
        differences.rests,
        differences.unpriced_steps,
        differences.unpriced_rests,
        differences.price_ids,
        differences.billed_usd,
        differences.list_usd,
        differences.batch_tokens,
        differences.priced_usd,
        differences.computed_usd,
        differences.computed_from,
        differences.difference_usd,
        differences.steps || ' steps'
        || case when differences.rests > 0 then ' and ' || differences.rests || ' rests of runs' else '' end as entries,
        case
            when differences.difference_usd = 0 then cast([] as varchar[])
            else list_filter(
                [
                    case
                        when differences.computed_from = 'no step'
                        then 'unpriced: the cost of all ' || entries || ' is unknown (no price, or no usage), and so is the difference'
                        when differences.computed_from = 'some steps'
                        then 'partly unpriced: the cost of ' || differences.unpriced_steps + differences.unpriced_rests || ' of ' || entries
                        || ' is unknown (no price, or no usage), and so is the difference; priced_usd is what the others cost'
                    end,
                    case
                        -- They can only add to what was computed.
                        when differences.unnamed_steps > 0 and coalesce(differences.difference_usd > 0, true)
                        then differences.unnamed_steps || ' steps of that day may be of this row: their model has no price or their project is unknown'
                    end,
                    case when not differences.is_billed and billed_days.source is null then 'no bill has been imported for this source' end,
                    case when not differences.is_billed and differences.day not between billed_days.first_on and billed_days.last_on then 'no bill has been imported for this day' end,
                    case
                        when not differences.is_billed and differences.day between billed_days.first_on and billed_days.last_on
                        then 'not in the bill: another project, another name of the model, or a key of another organization'
                    end,
                    case when differences.model is null and differences.is_billed then 'a line item that is no model''s tokens' end,
                    case
                        when differences.is_billed and not differences.is_computed and differences.model is not null
                        then 'other use of the API, or threads that were never synced'
                    end,
                    case
                        when coalesce(differences.difference_usd > 0, true)
                        and (
                            differences.billed_input_tokens > differences.prompt_tokens
                            or differences.billed_output_tokens > differences.completion_tokens
                        )
                        then 'the bill counts more tokens: other use of the API, or threads that were never synced'
                    end,
                    case
                        when coalesce(differences.difference_usd < 0, true)
                        and (
                            differences.billed_input_tokens < differences.prompt_tokens
                            or differences.billed_output_tokens < differences.completion_tokens
                        )
                        then 'the bill counts fewer tokens: it may not be final, or steps belong to another project'
                    end,
                    case
                        when differences.billed_input_tokens = differences.prompt_tokens
                        and differences.billed_output_tokens = differences.completion_tokens
                        then 'the tokens agree: look at the price row ' || array_to_string(differences.price_ids, ', ')
                    end,
                    case when differences.is_billed and open_threads.threads > 0 then open_threads.threads || ' known threads are not synced yet' end,
                    case
                        when differences.batch_tokens > 0
                        then differences.batch_tokens || ' of the billed tokens are of batches, which no thread asks for: other use of the API'
                    end,
                    case when differences.foreign_rows > 0 then 'a part of the bill is in another currency' end
                ],
                lambda explanation: explanation is not null
            )
        end as found,
        case
            when differences.difference_usd = 0 or len(found) > 0 then found
            when differences.billed_input_tokens is null and differences.billed_output_tokens is null
            then ['unexplained: the bill has money only; import the usage report of this day, whose tokens can be compared']
            else ['unexplained: neither the tokens nor what was synced tell why']
        end as explanations
    from differences
    left join billed_days on billed_days.source = differences.source
    left join open_threads on open_threads.source = differences.source
)
select columns(* exclude (entries, found))
from explained;
