"""What `doctor --server` says of a server: every guarantee of an honest one, and each deviation of the emulator."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.emulator.faults.applying import SHAPES
from pipeline.emulator.faults.pages import PAGE_FAULTS
from pipeline.emulator.faults.records import RECORD_PATCHES
from pipeline.settings.lookup import read_settings
from pipeline.verbs.doctor.conformance import examine_conformance

Json = dict[str, Any]
MOST_REQUESTS = 10


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=27)


@pytest.fixture(scope="module")
def shared_server(corpus: Corpus) -> Iterator[RunningEmulator]:
    with running_emulator(corpus) as server:
        yield server


@pytest.fixture
def server(shared_server: RunningEmulator) -> RunningEmulator:
    shared_server.clear_faults()
    shared_server.clear_requests()
    return shared_server


def a_thread(corpus: Corpus) -> str:
    """One with some ended runs, none of them longer than a page, of instants that tell their order."""

    def fits(thread: Any) -> bool:
        runs = [json.loads(run.item.body) for run in thread.runs]
        times = [run["created_at"] for run in runs]
        used = [run for run in runs if run["status"] == "completed" and run.get("usage")]
        longest = max((len(run.steps) for run in thread.runs), default=0)
        return bool(used) and longest < len(runs) < 20 and len(runs) > 10 and sorted(set(times)) == times

    return next(thread.item.object_id for thread in corpus.threads if fits(thread))


def examine(
    server: RunningEmulator, thread_id: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> tuple[int, Json]:
    flags = {"base_url": server.base_url, "api_key": server.api_key, "kind": "compatible"}
    code = examine_conformance(read_settings(flags, {}, tmp_path), thread_id, as_json=True)
    return code, json.loads(capsys.readouterr().out)


def test_an_honest_server_gives_every_guarantee_in_ten_requests(
    server: RunningEmulator, corpus: Corpus, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, found = examine(server, a_thread(corpus), capsys, tmp_path)

    assert (code, found["healthy"], found["settings"]) == (0, True, {})
    assert [each for each in found["checks"] if each["state"] != "ok"] == []
    assert found["requests"] == len(server.requests()) <= MOST_REQUESTS


# Which check tells of a deviation, and how; `route` is where it is.
DEVIATIONS: dict[str, tuple[list[Json], str, str]] = {
    "cursor_ignored": ([{"fault": "cursor_ignored"}], "after", "fail"),
    "cursor_cycle": ([{"fault": "cursor_ignored"}], "has_more", "fail"),
    "has_more_no_cursor": ([{"fault": "has_more_no_cursor"}], "ids", "fail"),
    "empty_page_more": ([{"fault": "empty_page_more", "route": "list_steps"}], "usage", "warn"),
    "missing_has_more": ([{"fault": "missing_has_more"}], "has_more", "warn"),
    "limit_ignored": ([{"fault": "limit_ignored"}], "limit", "warn"),
    "answer_cut": ([{"fault": "answer_cut", "length": 3}, {"fault": "missing_has_more"}], "limit", "fail"),
    "full_last_page_more": ([{"fault": "full_last_page_more"}], "has_more", "ok"),
    "items_repeat": ([{"fault": "items_repeat"}], "after", "warn"),
    "cursor_skips": ([{"fault": "cursor_skips"}], "after", "fail"),
    "cursor_expires": ([{"fault": "cursor_expires", "pages": 1}], "after", "fail"),
    "last_id_differs": ([{"fault": "last_id_differs"}], "last_id", "warn"),
    "cursor_compares_id": ([{"fault": "cursor_compares_id"}], "after", "fail"),
    "order_changes": ([{"fault": "order_changes"}], "after", "fail"),
    "order_ignored": ([{"fault": "order_ignored"}], "order", "warn"),
    "before_ignored": ([{"fault": "before_ignored"}], "before", "warn"),
    "never_more": ([{"fault": "never_more"}], "has_more", "warn"),
    "limit_capped": ([{"fault": "limit_capped", "length": 3}], "limit of 100", "warn"),
    "cursor_gone_empty": ([{"fault": "cursor_gone_empty"}], "after", "fail"),
    "cursor_gone_empty, unknown ones only": ([{"fault": "cursor_gone_empty", "known": False}], "unknown id", "warn"),
    "cursor_in_last_id": ([{"fault": "cursor_in_last_id"}], "last_id", "warn"),
    "id_twice": ([{"fault": "id_twice"}], "ids", "fail"),
    "other_parents": ([{"fault": "other_parents"}], "parents", "fail"),
    "null_id": ([{"fault": "record", "kind": "null_id", "start": 1}], "ids", "fail"),
    "missing_id": ([{"fault": "record", "kind": "missing_id", "start": 1}], "ids", "fail"),
    "null_usage": ([{"fault": "record", "kind": "null_usage", "route": "list_steps"}], "usage", "warn"),
    "zero_usage": ([{"fault": "record", "kind": "zero_usage", "route": "list_steps"}], "usage", "warn"),
    "other_usage": ([{"fault": "record", "kind": "other_usage", "route": "list_runs"}], "usage", "warn"),
    "open_status": ([{"fault": "record", "kind": "open_status", "route": "list_steps"}], "usage", "warn"),
    "other_run": ([{"fault": "record", "kind": "other_run"}], "parents", "fail"),
    "other_thread": ([{"fault": "record", "kind": "other_thread"}], "parents", "fail"),
    "no_parents": ([{"fault": "record", "kind": "no_parents"}], "parents", "warn"),
    "error_in_200": ([{"fault": "error_in_200"}], "lists", "fail"),
    "remark_in_200": ([{"fault": "remark_in_200", "list": "full"}], "remarks", "fail"),
    "remark_in_200, empty": ([{"fault": "remark_in_200", "remark": "message"}], "remarks", "fail"),
    "status": ([{"fault": "status", "status": 404}], "lists", "fail"),
    "rate_limit": ([{"fault": "status", "status": 429, "after_requests": 4}], "Retry-After", "warn"),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_each_deviation_is_told(
    name: str, server: RunningEmulator, corpus: Corpus, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rules, check, state = DEVIATIONS[name]
    server.set_faults(rules)

    code, found = examine(server, a_thread(corpus), capsys, tmp_path)

    assert {each["check"]: each["state"] for each in found["checks"]}[check] == state
    assert code == (5 if any(each["state"] == "fail" for each in found["checks"]) else 0)
    assert found["requests"] <= MOST_REQUESTS


def test_every_fault_of_paging_and_of_parents_ids_and_usage_is_among_the_deviations() -> None:
    in_records = {name for name in RECORD_PATCHES if name.endswith(("_id", "_usage", "_status", "_run", "_thread"))}

    # What lists of the protocols that follow do, whose servers have a test of their own.
    assert set(PAGE_FAULTS) - {"oldest_only", "cursor_gone_restarts"} <= set(DEVIATIONS)
    assert in_records - {"string_usage"} <= set(DEVIATIONS)
    assert "error_in_200" in SHAPES
