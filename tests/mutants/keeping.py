"""Faults on the way to the tables: landing, flattening, loading, planning, locks, workers."""

from tests.mutants.mutant import Mutant

_LANDING = "pipeline/raw/parts.py"
_FLATTEN = "pipeline/flatten/frames.py"
_LOAD = "pipeline/warehouse/transaction/statements.py"
_SETTLE = "pipeline/warehouse/transaction/seals.py"
_FLEET = "pipeline/cluster/fleet.py"
_SHARE = "pipeline/extract/share.py"

LANDING = (
    Mutant(
        "a part takes the place of one that is there",
        "landed pages are lost",
        "pipeline/storage/whole_files.py",
        "        os.link(aside, path)",
        "        os.replace(aside, path)",
        ("cluster/test_fleet.py::test_a_part_is_never_put_in_the_place_of_another",),
    ),
    Mutant(
        "a part gets its name before it is on disk",
        "a power cut leaves half a part under a whole name",
        _LANDING,
        "                os.fsync(file.fileno())\n",
        "",
        ("raw/test_landing.py::test_a_part_is_on_disk_before_it_gets_its_name",),
    ),
    Mutant(
        "a part's digest is not checked",
        "a flipped bit becomes another cost",
        _LANDING,
        "if digest is not None and digest != digest_rows(frame):",
        "if False:",
        ("raw/test_damage.py::test_a_flipped_bit_anywhere_in_a_part_is_seen_or_changes_nothing",),
    ),
    Mutant(
        "files are made for everybody to read",
        "other users of the machine read conversations",
        "pipeline/storage/private_files.py",
        "OWNER_ONLY = 0o600",
        "OWNER_ONLY = 0o644",
        ("raw/test_landing.py::test_parts_can_be_read_by_their_owner_only",),
    ),
    Mutant(
        "walks that are lost on the way are not counted",
        "a sync says complete though a part is gone",
        "pipeline/verbs/sync/walks_found.py",
        "if found < walks:",
        "if found > walks:",
        ("verbs/test_sync.py::test_a_walk_that_ended_and_is_not_in_the_warehouse_makes_the_sync_incomplete",),
    ),
    Mutant(
        "a walk that fails leaves no pages",
        "pages that were paid for are thrown away",
        "pipeline/extract/fetching.py",
        "await self._land(walk.pages, certificate)",
        'await self._land(walk.pages if certificate.verdict == "complete" else [], certificate)',
        ("extract/test_fetching.py::test_a_walk_that_fails_in_the_middle_keeps_the_pages_before",),
    ),
)

FLATTENING = (
    Mutant(
        "cached and completion tokens are swapped",
        "every cost is wrong",
        _FLATTEN,
        '        "cached_tokens": [_cached_tokens(usage) for usage in usages],\n'
        '        "cache_write_tokens": [None] * len(usages),\n'
        '        "completion_tokens": [usage.completion_tokens for usage in usages],',
        '        "completion_tokens": [_cached_tokens(usage) for usage in usages],\n'
        '        "cache_write_tokens": [None] * len(usages),\n'
        '        "cached_tokens": [usage.completion_tokens for usage in usages],',
        ("flatten/test_frames.py::test_cached_tokens_are_read_in_either_spelling",),
    ),
    Mutant(
        "cached tokens in the plural spelling are not read",
        "cached input of such servers is charged in full",
        _FLATTEN,
        "return None if plural is None else plural.cached_tokens",
        "return None",
        ("flatten/test_frames.py::test_cached_tokens_are_read_in_either_spelling",),
    ),
    Mutant(
        "missing usage is 0",
        "unknown costs look like no costs",
        _FLATTEN,
        "_NO_USAGE = Usage()",
        "_NO_USAGE = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)",
        ("flatten/test_frames.py::test_missing_usage_is_null_and_zero_usage_is_zero",),
    ),
    Mutant(
        "negative tokens are accepted",
        "a broken record earns money",
        "pipeline/protocol/wire.py",
        "Meta(ge=0, le=2**62)",
        "Meta(ge=-(2**62), le=2**62)",
        ("flatten/test_salvage.py::test_a_reject_names_the_item_the_path_and_the_text",),
    ),
    Mutant(
        "fields that nobody knows are dropped",
        "what a server adds is lost",
        "pipeline/flatten/salvage.py",
        "unknown=dict(texts) or None), rejects",
        "unknown=None), rejects",
        ("flatten/test_frames.py::test_fields_that_nobody_knows_are_kept_at_every_level",),
    ),
    Mutant(
        "what could not be read is not counted",
        "values vanish without a reject",
        "pipeline/flatten/items.py",
        "        rejects.add(walk, page, item_index, None if item is None else item.id, found)\n",
        "",
        ("flatten/test_salvage.py::test_a_reject_names_the_item_the_path_and_the_text",),
    ),
    Mutant(
        "arguments of functions are lost",
        "nobody sees what a tool was asked",
        "pipeline/flatten/tool_calls.py",
        "call.arguments = text_of(function.arguments)",
        "call.arguments = None",
        ("flatten/test_frames.py::test_a_tool_call_puts_its_name_input_and_output_into_columns",),
    ),
    Mutant(
        "an item that pages repeat counts twice",
        "a step is charged twice",
        _FLATTEN,
        "    if not frame.select(pl.struct(key).is_duplicated().any()).item():\n        return frame",
        "    return frame",
        (
            "flatten/test_frames.py::test_a_step_that_two_pages_repeat_is_one_row_with_its_last_state_and_its_first_place",
        ),
    ),
    Mutant(
        "of an item that pages repeat the first state stays",
        "a step that ended looks open",
        _FLATTEN,
        'unique(key, keep="last", maintain_order=True)',
        'unique(key, keep="first", maintain_order=True)',
        (
            "flatten/test_frames.py::test_a_step_that_two_pages_repeat_is_one_row_with_its_last_state_and_its_first_place",
        ),
    ),
    Mutant(
        "a broken call loses its place",
        "outputs hang on other calls",
        "pipeline/flatten/salvage.py",
        "values.append(kind() if value is None else value)",
        "values += [] if value is None else [value]",
        ("flatten/test_salvage.py::test_calls_after_a_broken_one_keep_their_index",),
    ),
    Mutant(
        "milliseconds are taken for seconds",
        "steps lie in the year 56,000",
        _FLATTEN,
        ".then(number / 1000)",
        ".then(number)",
        ("flatten/test_frames.py::test_milliseconds_become_seconds_and_say_so_and_minus_one_is_null",),
    ),
)

LOADING = (
    Mutant(
        "a load is no transaction",
        "a load that fails leaves half of itself",
        "pipeline/warehouse/load.py",
        '    connection.execute("begin")\n    try:\n        yield\n        connection.execute("commit")\n'
        '    except BaseException:\n        connection.execute("rollback")\n        raise\n',
        "    yield\n",
        ("warehouse/test_load.py::test_a_load_that_fails_inside_its_transaction_leaves_no_row",),
    ),
    Mutant(
        "rows of the owner are not deleted first",
        "steps of earlier walks stay beside the new ones",
        _LOAD,
        "            connection.execute(_DELETE_REPLACED.format(table=table))\n",
        "            pass\n",
        ("warehouse/test_load.py::test_the_steps_of_a_run_come_from_its_latest_complete_walk",),
    ),
    Mutant(
        "the newest walk wins though it is worse",
        "a broken walk takes complete steps away",
        _LOAD,
        "order by counts desc, verdict = 'complete' desc,",
        "order by counts desc,",
        ("warehouse/test_load.py::test_the_steps_of_a_run_come_from_its_latest_complete_walk",),
    ),
    Mutant(
        "a run is sealed though it was open when its steps were walked",
        "its last steps are never fetched",
        _SETTLE,
        "    step_walks.run_status in {TERMINAL_SQL}\n",
        "    true\n",
        ("warehouse/test_load.py::test_a_run_is_sealed_when_it_was_terminal_before_its_steps_were_walked_to_the_end",),
    ),
    Mutant(
        "a run is sealed by a broken walk",
        "steps that were never seen are never fetched",
        _SETTLE,
        "where walks.resource = 'steps' and walks.verdict = 'complete'",
        "where walks.resource = 'steps'",
        ("warehouse/test_load.py::test_a_run_is_sealed_when_it_was_terminal_before_its_steps_were_walked_to_the_end",),
    ),
    Mutant(
        "an open run takes the place of its end",
        "a run that ended is open again",
        _LOAD,
        "order by weight desc, observed_at desc, is_imported,",
        "order by observed_at desc, is_imported,",
        ("warehouse/test_load.py::test_an_open_run_of_an_archive_never_takes_the_place_of_its_end",),
    ),
    Mutant(
        "a thread with a failed walk counts as synced",
        "nobody sees that steps are missing",
        _SETTLE,
        "when listings.verdict <> 'complete' or coalesce(step_walks.failed, 0) > 0 then 'failed'",
        "when listings.verdict <> 'complete' then 'failed'",
        ("warehouse/test_load.py::test_threads_say_how_far_they_are_covered",),
    ),
    Mutant(
        "loaded parts are loaded again",
        "every load takes as long as the first",
        "pipeline/warehouse/load.py",
        "if part.name not in held]",
        "if part not in held]",
        ("warehouse/test_load.py::test_loading_again_changes_nothing",),
    ),
    Mutant(
        "rejects of replaced walks stay",
        "values count as unreadable that were read since",
        _LOAD,
        "        connection.execute(_DELETE_REJECTS)\n",
        "        pass\n",
        ("warehouse/test_load.py::test_rejects_are_those_of_the_walks_that_the_rows_come_from",),
    ),
)

PLANNING = (
    Mutant(
        "sealed runs are walked again",
        "every sync costs as much as the first",
        "pipeline/extract/fetching.py",
        "left = [run for run in runs if not task.is_sealed(run)]",
        "left = list(runs)",
        ("extract/test_fetching.py::test_a_sealed_run_is_not_walked_again_wherever_it_is_listed",),
    ),
    Mutant(
        "open runs before a sealed one are not watched",
        "their later steps are never fetched",
        "pipeline/extract/known_threads.py",
        "qualify bool_and(sealed) over (partition by thread_id order by run_index)",
        "qualify bool_and(sealed) over (partition by thread_id, run_index)",
        (
            "extract/test_known_threads.py::"
            "test_the_list_starts_before_the_first_run_that_is_open_and_what_is_sealed_behind_it_stays_sealed",
        ),
    ),
    Mutant(
        "a list with a hole goes on behind it",
        "runs whose part was damaged are never listed again",
        "pipeline/extract/known_threads.py",
        "count(*) < max(run_index) + 1 as has_hole,",
        "false as has_hole,",
        ("raw/test_damage.py::test_runs_at_the_start_of_a_list_whose_part_is_gone_are_listed_again",),
    ),
    Mutant(
        "--full is ignored",
        "nothing can be fetched anew",
        "pipeline/extract/plan.py",
        "        if full:\n",
        "        if False:\n",
        ("extract/test_known_threads.py::test_full_takes_nothing_as_sealed",),
    ),
    Mutant(
        "an interrupted sync is gone on with a week later",
        "runs that came since are not listed",
        "pipeline/extract/known_threads.py",
        "RESUME_WITHIN = timedelta(hours=24)",
        "RESUME_WITHIN = timedelta(days=7)",
        ("extract/test_known_threads.py::test_an_interrupted_sync_is_not_gone_on_with_the_next_day",),
    ),
    Mutant(
        "what an earlier sync landed is not loaded before planning",
        "after a kill everything is fetched again",
        "pipeline/verbs/sync/flow.py",
        "damage = None if options.plan else await _load_earlier(store, options, stack)",
        "damage = None",
        ("verbs/test_sync_kill.py::test_killed_after_some_parts_have_landed_a_sync_asks_for_none_of_them_again",),
    ),
    Mutant(
        "a server that ignores the cursor is not listed from the start",
        "positions of runs are wrong",
        "pipeline/extract/fetching.py",
        "task.last_id is None or next(iter(walk.ids), None) == task.last_id",
        "True",
        ("extract/test_fetching.py::test_a_server_that_ignores_the_cursor_is_listed_from_the_start",),
    ),
)

LOCKS = (
    Mutant(
        "two loads write at once",
        "one load overwrites the other's copy of the warehouse",
        "pipeline/storage/writer_lock.py",
        "        with _lock(path, wait_s):\n            yield\n",
        "        yield\n",
        ("storage/test_writer_lock.py::test_a_load_beside_another_load_is_refused",),
    ),
    Mutant(
        "a reader stops a load",
        "an open notebook makes every sync fail",
        "pipeline/warehouse/database.py",
        "if in_background or find_holder(str(error)) is None:",
        "if find_holder(str(error)) is not None:",
        ("storage/test_writer_lock.py::test_readers_of_two_generations_do_not_fail_a_load",),
    ),
    Mutant(
        "a rebuild takes the file away from a writer",
        "what the writer adds is lost",
        "pipeline/warehouse/database.py",
        "attempt=lambda: duckdb.connect(str(path), read_only=True)):",
        "attempt=duckdb.connect):",
        ("storage/test_writer_lock.py::test_a_rebuild_does_not_take_the_file_away_from_a_writer",),
    ),
    Mutant(
        "a locked warehouse is incomplete data",
        "scripts cannot tell waiting from fetching again",
        "pipeline/errors.py",
        "exit_code = 6",
        "exit_code = 4",
        ("storage/test_writer_lock.py::test_a_query_names_the_process_that_writes",),
    ),
)

WORKERS = (
    Mutant(
        "a worker that died is ignored",
        "its share of the threads is missing and the sync says complete",
        _SHARE,
        "if any(outcome is None for outcome in outcomes):",
        "if not outcomes:",
        ("cluster/test_fleet.py::test_a_worker_that_ends_without_a_word_is_an_error",),
    ),
    Mutant(
        "a worker's error is ignored",
        "a refused key ends as complete",
        _SHARE,
        "if outcome is not None and outcome.error is not None:",
        "if False:",
        ("cluster/test_fleet.py::test_a_refused_key_stops_all_processes",),
    ),
    Mutant(
        "all workers give their parts the same names",
        "parts of one take the names of another's",
        _FLEET,
        "writer=number + 1,",
        "writer=1,",
        ("cluster/test_fleet.py::test_three_processes_bring_the_same_rows_as_one",),
    ),
)
