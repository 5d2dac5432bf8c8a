"""Faults in what things cost: prices, costs of steps and calls, fees, the ledger, budgets, bills."""

from tests.mutants.mutant import Mutant

_STEP_COSTS = "sql/views/step_costs.sql"
_CALL_COSTS = "sql/views/tool_call_costs.sql"
_PERIODS = "sql/views/price_periods.sql"
_BUDGETS = "pipeline/money/budgets.py"

PRICES = (
    Mutant(
        "cached tokens cost the input price",
        "cached input is charged in full",
        _STEP_COSTS,
        "coalesce(cached_input_usd_per_mtok, input_usd_per_mtok) * discount",
        "input_usd_per_mtok * discount",
        ("sql/test_views.py::test_a_step_costs_its_uncached_cached_and_output_tokens",),
    ),
    Mutant(
        "cached tokens are charged twice",
        "once at the cached price and once as input",
        _STEP_COSTS,
        "cast(run_steps.prompt_tokens - coalesce(run_steps.cached_tokens, 0) as decimal(19, 0))",
        "cast(run_steps.prompt_tokens as decimal(19, 0))",
        ("sql/test_views.py::test_a_step_costs_its_uncached_cached_and_output_tokens",),
    ),
    Mutant(
        "without a cached price cached tokens cost nothing",
        "old models are too cheap",
        _STEP_COSTS,
        "coalesce(cached_input_usd_per_mtok, input_usd_per_mtok) * discount",
        "coalesce(cached_input_usd_per_mtok, 0) * discount",
        ("sql/test_views.py::test_cached_tokens_cost_the_input_price_where_there_is_no_cached_price",),
    ),
    Mutant(
        "reasoning tokens are charged on top",
        "reasoning is paid twice",
        _STEP_COSTS,
        "cast(run_steps.completion_tokens as decimal(19, 0))",
        "cast(run_steps.completion_tokens + coalesce(run_steps.reasoning_tokens, 0) as decimal(19, 0))",
        ("sql/test_views.py::test_reasoning_tokens_are_part_of_the_completion_and_not_charged_twice",),
    ),
    Mutant(
        "usage without a price costs 0",
        "unknown costs look like no costs",
        _STEP_COSTS,
        "cast(input_cost_usd + cached_cost_usd + output_cost_usd as decimal(38, 12)) as cost_usd",
        "cast(coalesce(input_cost_usd + cached_cost_usd + output_cost_usd, 0) as decimal(38, 12)) as cost_usd",
        ("sql/test_views.py::test_a_model_without_a_price_costs_null_even_for_zero_tokens",),
    ),
    Mutant(
        "a price begins one day late",
        "the first day of a price has none or the old one",
        _STEP_COSTS,
        "price_periods.valid_from <= steps.created_on",
        "price_periods.valid_from < steps.created_on",
        ("sql/test_views.py::test_the_price_is_the_one_of_the_step_s_utc_day",),
    ),
    Mutant(
        "a price holds for one day after its end",
        "the first day of a new price has two",
        _STEP_COSTS,
        "steps.created_on < coalesce(price_periods.valid_to, 'infinity'::date)",
        "steps.created_on <= coalesce(price_periods.valid_to, 'infinity'::date)",
        ("sql/test_views.py::test_the_price_is_the_one_of_the_step_s_utc_day",),
    ),
    Mutant(
        "a step's day is that of the session's time zone",
        "costs depend on where they are looked at",
        _STEP_COSTS,
        "coalesce(run_steps.created_at, runs.created_at) at time zone 'UTC' as date)",
        "coalesce(run_steps.created_at, runs.created_at) as date)",
        ("sql/test_views.py::test_the_price_does_not_depend_on_the_session_s_time_zone",),
    ),
    Mutant(
        "aliases of models are not known",
        "most usage has no price",
        _PERIODS,
        "inner join prices on prices.model = meant_names.meant_model and prices.match <> 'pattern'",
        "inner join prices on prices.model = meant_names.meant_model and prices.match = 'exact'",
        ("sqlfiles/test_price_book.py::test_a_name_is_found_exactly_then_as_an_alias_by_date_then_by_pattern",),
    ),
    Mutant(
        "the shipped price goes before the user's own",
        "own rows do nothing",
        _PERIODS,
        "candidates.origin = 'own' desc",
        "candidates.origin = 'own'",
        ("sqlfiles/test_price_book.py::test_an_own_row_wins_over_the_shipped_one_and_ends_when_it_says",),
    ),
    Mutant(
        "a price for one source holds for all",
        "another account pays negotiated prices",
        _PERIODS,
        "prices.only_source is null or prices.only_source = named_candidates.source",
        "true",
        ("sqlfiles/test_price_book.py::test_an_own_row_for_one_source_is_for_that_source_only",),
    ),
    Mutant(
        "a discount row counts for own prices too",
        "own prices are discounted twice",
        _PERIODS,
        "when candidates.origin = 'shipped' and discounts.discount is not null",
        "when discounts.discount is not null",
        ("sqlfiles/test_price_book.py::test_a_discount_row_does_not_touch_an_own_price",),
    ),
    Mutant(
        "a shipped price is a tenth too high",
        "the most used alias is too dear",
        "data/prices.csv",
        "openai:gpt-4o:2024-10-02,openai,gpt-4o,alias,gpt-4o-2024-08-06,2024-10-02,,2.50,",
        "openai:gpt-4o:2024-10-02,openai,gpt-4o,alias,gpt-4o-2024-08-06,2024-10-02,,2.75,",
        ("sql/test_views.py::test_the_shipped_list_prices_a_model_as_it_was_on_that_day",),
    ),
)

COSTS = (
    Mutant(
        "the last call does not take what rounding leaves",
        "money vanishes between steps and calls",
        _CALL_COSTS,
        "            when is_last\n",
        "            when false\n",
        ("sql/test_views.py::test_a_third_is_cut_and_the_last_call_takes_the_rest",),
    ),
    Mutant(
        "calls share evenly, whatever they were given",
        "a small call pays for a large one",
        _CALL_COSTS,
        "when least_bytes > 0 then step_pico_usd * arguments_bytes // step_bytes",
        "when least_bytes > 0 then step_pico_usd // step_call_count",
        ("sql/test_views.py::test_calls_share_their_step_s_cost_by_the_bytes_of_their_arguments",),
    ),
    Mutant(
        "steps whose run is unknown cost nothing anywhere",
        "money vanishes between steps and runs",
        "sql/views/run_costs.sql",
        "full join step_sums",
        "left join step_sums",
        ("sql/test_views.py::test_steps_without_a_run_still_make_a_run",),
    ),
    Mutant(
        "a child's run counts for each call that names it",
        "one run is summed several times",
        _CALL_COSTS,
        "case when shares.is_first_of_child then child_runs.cost_usd end",
        "child_runs.cost_usd",
        ("sql/test_views.py::test_a_child_run_s_cost_stands_beside_the_first_call_that_names_it",),
    ),
    Mutant(
        "a session of the code interpreter has its last microsecond twice",
        "a use after exactly one hour is free",
        "sql/views/code_interpreter_sessions.sql",
        "when used[1] - starts[-1] >= 3600000000 then",
        "when used[1] - starts[-1] > 3600000000 then",
        (
            "sql/test_views.py::test_a_session_lasts_one_hour_from_its_first_use",
            "sql/test_views.py::test_sessions_are_those_of_a_plain_walk_over_the_uses",
        ),
    ),
    Mutant(
        "a session begins anew with each use",
        "an hour of steady use costs many sessions",
        "sql/views/code_interpreter_sessions.sql",
        "when used[1] - starts[-1] >= 3600000000 then",
        "when used[1] - starts[-1] >= 0 then",
        ("sql/test_views.py::test_a_session_lasts_one_hour_from_its_first_use",),
    ),
    Mutant(
        "runs whose usage differs from their steps' are complete",
        "missing steps are not seen",
        "sql/views/completeness.sql",
        "differences.total_tokens_difference <> 0\n        then 'usage_differs'",
        "differences.total_tokens_difference <> 0\n        then 'complete'",
        ("sql/test_views.py::test_the_state_of_a_run_says_what_is_known_of_its_steps",),
    ),
    Mutant(
        "the check of conservation looks at nothing",
        "money that vanishes passes `check`",
        "sql/checks/cost_conservation.sql",
        "where call_sums.cost_usd is distinct from run_costs.cost_usd",
        "where false",
        ("sql/test_views.py::test_the_conservation_check_sees_calls_that_lose_money",),
    ),
)

LEDGER = (
    Mutant(
        "sealed runs follow the price book",
        "what was reported last month changes",
        _STEP_COSTS,
        "            when cost_ledger.step_id is null then price_periods.list_input_usd_per_mtok\n"
        "            else cost_ledger.input_usd_per_mtok\n",
        "            when true then price_periods.list_input_usd_per_mtok\n"
        "            else cost_ledger.input_usd_per_mtok\n",
        ("warehouse/test_ledger.py::test_a_sealed_run_keeps_its_cost_when_the_price_book_changes",),
    ),
    Mutant(
        "repricing is not logged",
        "nobody can say why a sum changed",
        "pipeline/money/repricing.py",
        "        connection.execute(_LOG, [repricing_id, now, __version__])\n",
        "",
        ("warehouse/test_ledger.py::test_repricing_there_and_back_gives_the_same_ledger_and_logs_both",),
    ),
    Mutant(
        "a plan to reprice empties the ledger",
        "looking at a change makes it, and worse",
        "pipeline/money/repricing.py",
        '    finally:\n        connection.execute("rollback")',
        '    finally:\n        connection.execute("commit")',
        ("warehouse/test_ledger.py::test_a_plan_to_reprice_shows_the_difference_and_writes_nothing",),
    ),
    Mutant(
        "repricing one model forgets the others",
        "their costs follow the price book",
        "pipeline/money/repricing.py",
        "        connection.execute(_KEEP_OTHERS)\n",
        "",
        ("warehouse/test_ledger.py::test_repricing_one_model_leaves_the_ledger_of_the_others",),
    ),
    Mutant(
        "a rebuild keeps the ledger of runs that are gone",
        "sums hold costs of nothing",
        "pipeline/warehouse/load.py",
        "        drop_unfinished(connection)\n",
        "",
        ("warehouse/test_ledger.py::test_a_rebuild_forgets_the_ledger_of_runs_that_are_in_no_part_any_more",),
    ),
    Mutant(
        "a rebuild forgets the ledger",
        "sealed costs follow the price book",
        "pipeline/warehouse/ledger.py",
        'connection.execute(f"insert into {table} by name select columns(*) from kept.{table}")',
        'connection.execute(f"select columns(*) from kept.{table} limit 0")',
        ("warehouse/test_ledger.py::test_a_rebuild_keeps_what_sealed_runs_cost_and_what_was_repriced",),
    ),
)

BUDGETS = (
    Mutant(
        "a check that fails exits with 0",
        "an alarm never rings",
        "pipeline/verbs/money.py",
        "return CheckFailedError.exit_code if failed else 0",
        "return 0",
        ("warehouse/test_checks.py::test_check_exits_5_with_a_line_for_each_breach",),
    ),
    Mutant(
        "a budget that is broken only warns",
        "`fail_usd` does nothing",
        _BUDGETS,
        '[("fail", fail, "spent", spent)]',
        '[("warn", fail, "spent", spent)]',
        ("warehouse/test_checks.py::test_a_breach_is_one_line_with_the_level_that_it_reaches",),
    ),
    Mutant(
        "a budget for one assistant counts all",
        "alarms ring for others",
        _BUDGETS,
        '            sql += f" and step_costs.{column} = ${column}"\n            params[column] = value\n',
        "            pass\n",
        ("warehouse/test_checks.py::test_a_budget_is_for_a_source_assistant_model_tool_or_metadata_value",),
    ),
    Mutant(
        "a week begins on Sunday",
        "spend counts for another week",
        _BUDGETS,
        "timedelta(days=day.weekday())",
        "timedelta(days=day.isoweekday())",
        ("warehouse/test_checks.py::test_a_period_has_the_day_in_it",),
    ),
    Mutant(
        "the last day of a period is not in it",
        "one day of each month costs nothing",
        _BUDGETS,
        "from step_costs\nleft join runs on runs.source = step_costs.source and runs.run_id = step_costs.run_id\n"
        "where step_costs.created_on >= $start and",
        "from step_costs\nleft join runs on runs.source = step_costs.source and runs.run_id = step_costs.run_id\n"
        "where step_costs.created_on > $start and",
        ("warehouse/test_checks.py::test_a_budget_counts_the_steps_of_its_period_and_goes_on_at_their_pace",),
    ),
    Mutant(
        "of two imports of a bill the older counts",
        "a bill is never corrected",
        "pipeline/warehouse/bills.py",
        "max({'imported_at': imported_at, 'part': part}) as newest",
        "min({'imported_at': imported_at, 'part': part}) as newest",
        ("money/test_bills.py::test_of_each_day_and_project_the_newest_import_counts",),
    ),
    Mutant(
        "doubles in a table are not looked for",
        "rows that count twice pass `check`",
        "pipeline/warehouse/checks.py",
        "having count(*) > 1 limit 1000",
        "having count(*) > 2 limit 1000",
        ("warehouse/test_checks.py::test_a_row_that_is_there_twice_breaks_the_grain_of_its_table",),
    ),
)
