"""Faults in what protects people: hidden contents, forgetting, pruning, the doctor, cells of CSV, rights of files."""

from tests.mutants.mutant import Mutant

_HIDING = "pipeline/privacy/hiding.py"
_CONTENT = "pipeline/privacy/content.py"
_CONTENT_KEY = "pipeline/verbs/content_key.py"
_TARGETS = "pipeline/upkeep/removal_targets.py"
_FORGETTING = "pipeline/upkeep/removal.py"
_FORGOTTEN = "pipeline/privacy/forget_record.py"
_PRUNING = "pipeline/warehouse/loaded_parts.py"
_HEALTH = "pipeline/verbs/doctor/data_health.py"
_PRIVATE = "pipeline/storage/private_files.py"

CONTENTS = (
    Mutant(
        "logs stay in clear where contents are hashed",
        "what customers computed is on disk",
        _CONTENT,
        '"logs": hide_log,',
        '"logs": keep_name,',
        ("privacy/test_content.py::test_logs_with_a_traceback_say_so_and_empty_ones_are_hidden_as_well",),
    ),
    Mutant(
        "the hash has no key",
        "whoever guesses a text can prove that it was there",
        _HIDING,
        'hmac.digest(self.value, content, "sha256")',
        'hmac.digest(b"", content, "sha256")',
        ("privacy/test_content.py::test_another_key_gives_other_hashes_and_another_fingerprint",),
    ),
    Mutant(
        "numbers in metadata stay in clear",
        "numbers of customers are on disk",
        _CONTENT,
        "_METADATA = object_of({}, other=hide_value, named",
        "_METADATA = object_of({}, named",
        ("privacy/test_content.py::test_metadata_keeps_its_keys_and_hides_every_value",),
    ),
    Mutant(
        "objects that nobody knows stay in clear",
        "a field that a server adds carries texts to disk",
        _HIDING,
        "if raw in _EMPTY or _FIGURE.fullmatch(raw):",
        "if raw in _EMPTY or not raw.startswith(b'\"'):",
        ("privacy/test_content.py::test_fields_that_nobody_knows_keep_numbers_and_hide_texts_and_whole_objects",),
    ),
    Mutant(
        "what is hidden is hidden again",
        "the same text has two hashes",
        _HIDING,
        "        if is_hidden(text):\n            return text\n",
        "",
        ("privacy/test_content.py::test_hiding_twice_is_hiding_once_for_every_object_of_an_account",),
    ),
    Mutant(
        "a body that cannot be read lands as it came",
        "half a page of conversation is on disk",
        _CONTENT,
        "return quoted(key.hide(inner if is_hidden(inner) else whole)).encode()",
        "return body",
        ("privacy/test_content.py::test_a_body_that_cannot_be_read_is_hidden_whole_and_lands_as_one_reject",),
    ),
    Mutant(
        "another content key than before is taken",
        "the same text has two hashes",
        _CONTENT_KEY,
        "if history.key not in (None, key.fingerprint):",
        "if False:",
        ("privacy/test_content_free.py::test_another_key_than_that_of_earlier_syncs_is_refused",),
    ),
    Mutant(
        "a content key of any length is taken",
        "the texts behind the hashes can be tried out",
        _CONTENT_KEY,
        "SHORTEST_KEY = 32",
        "SHORTEST_KEY = 1",
        ("privacy/test_content_free.py::test_a_key_that_is_missing_or_short_is_a_configuration_error",),
    ),
    Mutant(
        "a source that was hashed is kept in full without a word",
        "a setting that got lost brings the texts to disk",
        _CONTENT_KEY,
        'if origin == "default":',
        "if False:",
        ("privacy/test_content_free.py::test_a_source_that_was_hashed_is_kept_in_full_only_if_a_person_says_so",),
    ),
)

FORGETTING = (
    Mutant(
        "raw pages of a forgotten thread stay",
        "what a person asked to remove is still there",
        "pipeline/warehouse/part_rewriting.py",
        'kept = rows.join(threads, on=["source", "thread_id"], how="anti", maintain_order="left")',
        'kept = rows.join(threads.clear(), on=list(threads.columns), how="anti", maintain_order="left")',
        ("upkeep/test_removal.py::test_no_byte_of_a_thread_9k_and_of_the_agents_it_called_is_left",),
    ),
    Mutant(
        "a forgotten thread stays in the plans of syncs",
        "its id is still there",
        "pipeline/warehouse/part_rewriting.py",
        "return msgspec.json.encode([thread_id for thread_id in thread_ids if not forgotten.has(source, thread_id)])",
        "return msgspec.json.encode(thread_ids)",
        ("upkeep/test_removal.py::test_no_byte_of_a_thread_9k_and_of_the_agents_it_called_is_left",),
    ),
    Mutant(
        "a part that is written anew has no digest",
        "a flipped bit in it becomes another cost",
        "pipeline/raw/parts.py",
        "metadata={_BODY_BYTES: str(size_bytes), _DIGEST: digest_rows(frame)},",
        "metadata={_BODY_BYTES: str(size_bytes)},",
        ("upkeep/test_removal.py::test_parts_stay_whole_and_private",),
    ),
    Mutant(
        "threads are found by their metadata of now only",
        "a customer who was renamed is forgotten in part",
        _TARGETS,
        "tagged += _raw_metadata(folder.store, wanted.source)",
        "pass",
        ("upkeep/test_removal.py::test_threads_are_found_by_metadata_also_by_what_it_was_before",),
    ),
    Mutant(
        "hidden metadata is compared in clear",
        "no thread of a hashed source is found by its customer",
        _TARGETS,
        "values[key] in (value, hidden)",
        "values[key] == value",
        ("upkeep/test_removal.py::test_hidden_metadata_is_found_by_its_value",),
    ),
    Mutant(
        "threads of connected agents stay",
        "what an agent was asked on a customer's behalf is still there",
        _TARGETS,
        "    _add_children(chosen, stored.children)\n",
        "",
        ("upkeep/test_removal.py::test_no_byte_of_a_thread_9k_and_of_the_agents_it_called_is_left",),
    ),
    Mutant(
        "flattened parts stay when a thread is forgotten",
        "its texts are still there",
        _FORGETTING,
        "[*unreadable.files, *(path for path in flattened if path.is_file())]",
        "unreadable.files",
        ("upkeep/test_removal.py::test_flattened_and_damaged_files_and_leftovers_go_as_well",),
    ),
    Mutant(
        "rows that name only a thread stay in the warehouse",
        "its walks are still there",
        _FORGETTING,
        'where = _IS_KEPT if "thread_id" in table.columns else "true"',
        'where = _IS_KEPT if "run_id" in table.columns else "true"',
        ("upkeep/test_removal.py::test_no_byte_of_a_thread_9k_and_of_the_agents_it_called_is_left",),
    ),
    Mutant(
        "the record of forgotten threads names them",
        "the record itself is what was to be forgotten",
        _FORGOTTEN,
        'return hashlib.sha256(f"{source}\\0{thread_id}".encode("utf-8", errors="surrogatepass")).hexdigest()',
        'return f"{source}/{thread_id}"',
        ("upkeep/test_removal.py::test_the_record_names_no_thread",),
    ),
    Mutant(
        "a later sync fetches forgotten threads again",
        "what was removed comes back by itself",
        _FORGOTTEN,
        "return [thread_id for thread_id in thread_ids if not forgotten.has(source, thread_id)]",
        "return list(thread_ids)",
        ("upkeep/test_removal.py::test_later_syncs_leave_a_forgotten_thread_out_until_it_is_named",),
    ),
    Mutant(
        "`forget` asks nobody",
        "a mistyped id removes data for good",
        "pipeline/verbs/forget.py",
        "if targets and (request.yes or _confirm(as_json=as_json)):",
        "if targets:",
        ("upkeep/test_removal.py::test_the_command_shows_what_would_go_and_removes_nothing_unasked",),
    ),
)

UPKEEP = (
    Mutant(
        "parts that are not loaded are pruned too",
        "runs that no warehouse has are gone",
        _PRUNING,
        "            for part in prunable.parts:\n                store.path(part.name).unlink(missing_ok=True)",
        "            for name in store.list_parts():\n                store.path(name).unlink(missing_ok=True)",
        ("verbs/test_prune.py::test_only_parts_that_are_loaded_and_old_enough_go",),
    ),
    Mutant(
        "parts of any age are pruned",
        "more goes than was asked for",
        _PRUNING,
        'old = loaded.filter(pl.col("landed_at") < before)',
        "old = loaded",
        ("verbs/test_prune.py::test_only_parts_that_are_loaded_and_old_enough_go",),
    ),
    Mutant(
        "the record of pruned parts is written when they are gone",
        "after a kill a rebuild takes what is left for all there was",
        _PRUNING,
        "            add_pruned(store, (_recorded(store, part, now) for part in prunable.parts))\n"
        "            FlatStore(store).drop([part.name for part in prunable.parts])\n"
        "            for part in prunable.parts:\n"
        "                store.path(part.name).unlink(missing_ok=True)\n",
        "            FlatStore(store).drop([part.name for part in prunable.parts])\n"
        "            for part in prunable.parts:\n"
        "                store.path(part.name).unlink(missing_ok=True)\n"
        "            add_pruned(store, (_recorded(store, part, now) for part in prunable.parts))\n",
        ("verbs/test_prune.py::test_what_goes_is_written_down_before_anything_is_removed",),
    ),
    Mutant(
        "parts are pruned beside a load",
        "a load misses parts that it was about to read",
        _PRUNING,
        "with only_writer(warehouse, wait_s=wait_s):",
        "if True:",
        ("verbs/test_prune.py::test_nothing_is_pruned_while_another_process_loads",),
    ),
    Mutant(
        "a rebuild after pruning is not refused",
        "the warehouse loses what the pruned parts held",
        "pipeline/warehouse/load.py",
        "        if not without_pruned:\n            refuse_if_parts_are_gone(connection, store, path)\n",
        "",
        ("verbs/test_prune.py::test_a_rebuild_is_refused_too_where_a_loaded_part_was_removed_by_hand",),
    ),
    Mutant(
        "the doctor passes over parts that wait",
        "nobody learns why the newest runs are missing",
        _HEALTH,
        "waiting=sorted(names - loaded),",
        "waiting=[],",
        ("verbs/test_doctor.py::test_a_part_that_waits_is_named_with_the_command_that_loads_it",),
    ),
    Mutant(
        "the doctor takes damaged parts for whole",
        "a rebuild fails on the day when it is needed",
        _HEALTH,
        "    except DamagedPartError:\n        return True",
        "    except DamagedPartError:\n        return False",
        ("verbs/test_doctor.py::test_a_damaged_part_fails_and_one_that_was_set_aside_warns",),
    ),
    Mutant(
        "the doctor overlooks files that others can read",
        "other users of the machine read conversations",
        _HEALTH,
        "_OTHERS = stat.S_IRWXG | stat.S_IRWXO",
        "_OTHERS = stat.S_IWGRP | stat.S_IWOTH",
        ("verbs/test_doctor.py::test_files_that_others_can_read_are_named",),
    ),
    Mutant(
        "the doctor exits with 0 whatever it finds",
        "a script takes a broken set-up for a sound one",
        "pipeline/verbs/doctor/command.py",
        "return CheckFailedError.exit_code if failed(diagnoses) else 0",
        "return 0",
        (
            "verbs/test_doctor.py::test_a_configuration_that_cannot_be_read_fails_and_the_data_is_looked_at_all_the_same",
        ),
    ),
)

FILES = (
    Mutant(
        "one sign of formulas is forgotten in CSV",
        "a spreadsheet runs what a model wrote",
        "pipeline/console/csv_cells.py",
        r'_SIGNS = r"=+\-@＝＋－＠"',
        r'_SIGNS = r"=+\-＝＋－＠"',
        ("console/test_csv_cells.py::test_a_text_that_begins_like_a_formula_gets_an_apostrophe",),
    ),
    Mutant(
        "names of columns are not guarded in CSV",
        "a spreadsheet runs the head of a table",
        "pipeline/console/csv_cells.py",
        "return guarded.rename(dict(zip(frame.columns, names.to_series(), strict=True)))",
        "return guarded",
        ("console/test_csv_cells.py::test_texts_of_other_types_and_names_of_columns_are_guarded_too",),
    ),
    Mutant(
        "folders are made for everybody to enter",
        "other users of the machine see who was talked to",
        _PRIVATE,
        "_OWNER_ONLY_FOLDER = 0o700",
        "_OWNER_ONLY_FOLDER = 0o755",
        ("storage/test_private_files.py::test_nothing_that_a_sync_and_a_report_write_can_be_read_by_others",),
    ),
    Mutant(
        "files are written through links",
        "another user has our files overwritten",
        _PRIVATE,
        'getattr(os, "O_NOFOLLOW", 0)',
        "0",
        ("storage/test_private_files.py::test_nothing_is_written_through_a_link_that_somebody_laid",),
    ),
    Mutant(
        "what another machine is writing is swept",
        "a part is lost while it is written",
        _PRIVATE,
        'if match is None or match["host"] != _this_host() or',
        "if match is None or",
        ("storage/test_private_files.py::test_only_what_dead_processes_of_this_machine_were_writing_is_swept",),
    ),
)
