"""Faults where several work on one thing: lakes, shards and what they flatten, budgets of pace, the age rule."""

from tests.mutants.mutant import Mutant

_PUBLISHING = "pipeline/lake/publishing.py"
_CHANGES = "pipeline/lake/batch_changes.py"
_LAKE = "pipeline/lake/store.py"
_DELTA = "pipeline/lake/delta_tables.py"
_WRITES = "pipeline/lake/table_writes.py"
_FLAT = "pipeline/flatten/cache.py"
_BUDGET = "pipeline/http/shared_pace.py"
_DUE = "pipeline/threads/sql.py"
_DECAY = "pipeline/threads/decay.py"
_TRANSPORT = "pipeline/http/transport.py"
_EXCHANGES = "pipeline/http/libcurl.py"

LAKES = (
    Mutant(
        "commits to a lake have no application transaction",
        "two publishers write the same rows twice",
        _WRITES,
        "marks = [library.Transaction(APPLICATION, epoch), *(library.Transaction(part, epoch) for part in parts)]",
        "marks = [library.Transaction(part, epoch) for part in parts]",
        ("lake/test_publishing.py::test_of_two_that_have_read_the_same_state_only_one_may_write",),
    ),
    Mutant(
        "prices that the warehouse has charged at are not published",
        "costs of last year change with the prices of now",
        _CHANGES,
        "        if job.warehouse is not None:\n            _keep_costs(connection, job.warehouse, touched)\n",
        "",
        ("lake/test_publishing.py::test_prices_that_the_warehouse_has_charged_at_are_the_lakes_whatever_they_are_now",),
    ),
    Mutant(
        "what a dead publisher has begun is not seen",
        "a publisher writes over one that is at work",
        _PUBLISHING,
        "if snapshot.has_begun(mark_of(part))] if snapshot.is_torn else []",
        "if snapshot.has_begun(mark_of(part))] if False else []",
        ("lake/test_publishing.py::test_what_a_dead_publisher_has_begun_the_next_one_ends",),
    ),
    Mutant(
        "a batch is written although another one of the same runs was written since it was worked out",
        "rows of a run twice, or of its older state",
        _CHANGES,
        "return since > len(self.recent) or any(found.touched.overlaps(touched) for touched in newest)",
        "return False",
        ("lake/test_batches.py::test_a_sync_worked_out_by_several_at_a_time_is_the_warehouse_whole",),
    ),
    Mutant(
        "batches of several syncs are worked out beside each other",
        "steps are charged before it is known what the name of their model stands for",
        "pipeline/lake/batch_windows.py",
        "is_within = {part.sync_id for part in batch} == {before}",
        "is_within = True",
        (
            "lake/test_batches.py::test_a_sync_worked_out_by_several_at_a_time_is_the_warehouse_whole",
            "lake/test_batches.py::test_batches_are_worked_out_together_only_from_the_middle_of_one_sync",
        ),
    ),
    Mutant(
        "two batches with rows of one sync are taken for strangers",
        "a sync is there twice, open and ended",
        "pipeline/lake/slices.py",
        "return self.has_syncs or self.has_bills",
        "return False",
        ("lake/test_batches.py::test_batches_concern_each_other_by_thread_or_what_belongs_to_their_source",),
    ),
    Mutant(
        "half a batch is told only while it is the newest",
        "a lake lacks rows without a word",
        _LAKE,
        "return any(not self._parts_of(name) <= whole for name in WITH_PART)",
        "return False",
        ("lake/test_publishing.py::test_half_a_batch_is_told_also_after_somebody_else_has_published_and_forgotten",),
    ),
    Mutant(
        "forgotten threads stay in the lake",
        "what a person asked to remove is still there",
        _PUBLISHING,
        "        self._retrying(self._forget)\n",
        "",
        ("lake/test_publishing.py::test_threads_that_were_forgotten_leave_the_lake_too",),
    ),
    Mutant(
        "parts that were pruned before they were published are not missed",
        "the lake lacks months without a word",
        _PUBLISHING,
        "            self._retrying(self._refuse_if_pruned)\n",
        "            pass\n",
        ("lake/test_publishing.py::test_parts_that_were_pruned_before_they_were_published_are_missed",),
    ),
    Mutant(
        "a lake of another version is written to",
        "tables of two programs are mixed",
        _LAKE,
        "if version not in (None, SCHEMA_VERSION):",
        "if False:",
        ("lake/test_publishing.py::test_a_lake_of_another_version_is_refused",),
    ),
    Mutant(
        "the log of a lake has the first signs of every text",
        "conversations are in a file that nobody thinks of",
        _DELTA,
        '"delta.dataSkippingStatsColumns": ",".join(indexed),',
        '"delta.dataSkippingStatsColumns": ",".join(columns),',
        ("lake/test_publishing.py::test_the_log_holds_no_text_of_a_conversation",),
    ),
)

SHARDS = (
    Mutant(
        "shards overlap",
        "threads are fetched several times",
        "pipeline/threads/selection.py",
        "% self.count + 1 == self.number",
        "% self.count + 1 >= self.number",
        ("threads/test_naming.py::test_three_shards_have_every_thread_exactly_once_and_about_as_many_each",),
    ),
    Mutant(
        "a shard plans from the runs of another",
        "runs that are sealed are fetched again",
        "pipeline/extract/plan_source.py",
        "% $count + 1 = $number",
        "% $count + 1 <> $number",
        ("upkeep/test_shards.py::test_shards_in_one_folder_plan_from_its_warehouse_and_from_what_is_not_in_it_yet",),
    ),
    Mutant(
        "of two parts of one name the first is taken",
        "pages of a shard are missing without a word",
        "pipeline/upkeep/gathering.py",
        "                _check_same(store, shard.store, part)\n",
        "",
        ("upkeep/test_shards.py::test_two_different_parts_of_one_name_are_both_named",),
    ),
    Mutant(
        "a flattened part of another raw part is believed",
        "rows that were forgotten come back",
        _FLAT,
        "if any(found.get(name) != value for name, value in self._metadata(part).items()):",
        "if found.get(_MADE_BY) != _made_by():",
        ("upkeep/test_shards.py::test_a_flattened_part_of_a_raw_part_that_was_written_anew_is_of_no_use",),
    ),
    Mutant(
        "a flattened part that is torn is believed",
        "a flipped bit becomes another cost",
        _FLAT,
        "if hashlib.sha256(body).hexdigest() != digest:",
        "if len(hashlib.sha256(body).hexdigest()) != len(digest):",
        ("upkeep/test_shards.py::test_frames_that_are_not_what_was_written_are_of_no_use",),
    ),
)

PACE_AND_AGE = (
    Mutant(
        "each process gets the whole budget",
        "a limit is passed as often as there are processes",
        _BUDGET,
        "self._next_start = start + permits / rate",
        "self._next_start = start",
        ("http/test_shared_pace.py::test_the_limit_that_a_user_gives_holds_for_all_processes_together",),
    ),
    Mutant(
        "a process keeps a pause to itself",
        "the others go on while the server asks for patience",
        _BUDGET,
        "self._paused_until = max(self._paused_until, now + ask.pause_s)",
        "self._paused_until = max(self._paused_until, now)",
        ("http/test_shared_pace.py::test_a_pause_that_one_process_was_asked_for_holds_back_the_others",),
    ),
    Mutant(
        "a thread that is old enough is never due again",
        "its late runs are never fetched",
        _DUE,
        "least(epoch(age) * $share, $longest_s)",
        "greatest(epoch(age) * $share, $longest_s)",
        ("threads/test_decay.py::test_a_cold_thread_is_due_when_its_age_has_grown_by_a_tenth",),
    ),
    Mutant(
        "a thread with an open run may be cold",
        "its end is seen a month late",
        _DUE,
        "        and not coalesce(thread_runs.has_open, false)\n",
        "",
        ("threads/test_decay.py::test_a_cold_thread_is_due_when_its_age_has_grown_by_a_tenth",),
    ),
    Mutant(
        "the age rule is on though nobody asked for it",
        "threads are left out of syncs without a word",
        _DECAY,
        "if cold_after is None and not asked:",
        "if False:",
        ("threads/test_decay.py::test_the_rule_is_off_unless_the_settings_or_the_command_line_ask_for_it",),
    ),
)

TRANSPORT = (
    Mutant(
        "the transport follows redirects",
        "another host gets the key",
        _TRANSPORT,
        "pycurl.FOLLOWLOCATION: False,",
        "pycurl.FOLLOWLOCATION: True,",
        ("http/test_client.py::test_a_redirect_is_not_followed_and_the_other_host_sees_nothing",),
    ),
    Mutant(
        "the transport asks again by itself",
        "a server in trouble gets twice the requests, uncounted",
        _EXCHANGES,
        "        if self._asked:\n",
        "        if False:\n",
        (
            "http/test_libcurl.py::"
            "test_a_kept_connection_that_ends_without_an_answer_is_asked_again_by_the_client_alone_and_counted",
        ),
    ),
    Mutant(
        "an answer that breaks off is one",
        "items of a page are lost",
        _EXCHANGES,
        "if (error := ended.exception()) is not None:",
        "if (error := ended.exception()) is not None and not self._lines:",
        ("http/test_libcurl.py::test_an_answer_that_breaks_off_is_a_fault_and_never_a_short_answer",),
    ),
    Mutant(
        "a head that breaks off is one",
        "a thread counts as missing because a connection ended",
        _EXCHANGES,
        "        if not line.strip():\n",
        "        if not line.strip() or line is lines[-1]:\n",
        ("http/test_libcurl.py::test_an_answer_that_breaks_off_is_a_fault_and_never_a_short_answer",),
    ),
    Mutant(
        "a request that was given up goes on",
        "connections are held by answers that nobody reads",
        _EXCHANGES,
        "        if not self._ended.done():\n            # That",
        "        if False:\n            # That",
        ("http/test_libcurl.py::test_a_request_that_is_cancelled_closes_its_connection_and_the_next_is_well",),
    ),
    Mutant(
        "a host that no proxy is for is asked through it",
        "requests for an internal server leave the house",
        _TRANSPORT,
        "if is_loopback(host) or proxy_bypass(host):",
        "if is_loopback(host):",
        ("http/test_transport.py::test_a_host_that_no_proxy_names_is_asked_directly",),
    ),
    Mutant(
        "a packed answer is measured as it came",
        "a small answer fills the memory",
        "pipeline/http/client.py",
        "                size_bytes += len(chunk)\n",
        "                size_bytes = response.num_bytes_downloaded or size_bytes + len(chunk)\n",
        ("http/test_client.py::test_a_packed_answer_that_unpacks_to_too_much_is_given_up",),
    ),
)
