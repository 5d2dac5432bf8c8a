"""The plan that `sync --dry-run` prints, against what the sync then really asks for."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.verbs.sync.dry_run import SyncPlan, plan_sync
from pipeline.warehouse.database import warehouse_path
from tests.syncs import SOURCE, environ_for, read_all, run_cli, sync_here

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def plan_for(server: RunningEmulator, data_dir: Path, *, full: bool = False, more: tuple[str, ...] = ()) -> SyncPlan:
    thread_ids = [*server.corpus.thread_ids(), *more]
    return plan_sync(thread_ids, warehouse_path(data_dir), source=SOURCE, now=NOW, full=full)


def pages_asked(server: RunningEmulator) -> list[dict[str, Any]]:
    """The requests without the one for each kind of list that asks whether its cursor skips items."""
    return [request for request in server.requests() if request["limit"] != "1"]


def test_without_a_warehouse_the_plan_knows_the_threads_and_nothing_else(tmp_path: Path) -> None:
    plan = plan_sync(["t1", "t2"], tmp_path / "none", source="s", now=NOW, requests_per_minute=60)

    assert plan == SyncPlan(
        source="s",
        threads=2,
        new_threads=2,
        sealed_runs=0,
        open_runs=0,
        least_requests=2,
        likely_requests=None,
        requests_per_s=1.0,
        pace="requests_per_minute",
        seconds=2.0,
    )


@pytest.mark.parametrize("full", [False, True], ids=["what is open", "everything"])
def test_the_least_number_is_what_a_sync_asks_for_when_nothing_is_new(tmp_path: Path, full: bool) -> None:
    with running_emulator(threads=40) as server:
        sync_here(server, tmp_path / "data")
        server.clear_requests()
        plan = plan_for(server, tmp_path / "data", full=full)
        assert server.requests() == []

        sync_here(server, tmp_path / "data", full=full)

        assert plan.least_requests == plan.likely_requests == len(server.requests())
        # One for each kind of list that has one of two pages: whether its cursor skips items.
        assert len(server.requests()) - len(pages_asked(server)) == (2 if full else 0)


@pytest.mark.parametrize("full", [False, True])
def test_what_is_unsealed_of_long_lists_costs_the_request_that_proves_cursors(tmp_path: Path, full: bool) -> None:
    with running_emulator(threads=40) as server:
        sync_here(server, tmp_path / "data")
        with duckdb.connect(warehouse_path(tmp_path / "data")) as connection:
            connection.execute("update runs set sealed = false")
        server.clear_requests()
        plan = plan_for(server, tmp_path / "data", full=full)

        sync_here(server, tmp_path / "data", full=full)

        assert plan.least_requests == len(server.requests())
        assert len(server.requests()) - len(pages_asked(server)) == 2


def test_the_plan_counts_sealed_and_open_runs_of_the_named_threads(tmp_path: Path) -> None:
    with running_emulator(threads=40) as server:
        sync_here(server, tmp_path / "data")
        plan = plan_for(server, tmp_path / "data", more=("thread_new",))

    [(sealed, still_open)] = read_all(tmp_path / "data", "select sum(sealed::int), sum((not sealed)::int) from runs")
    assert (plan.threads, plan.new_threads) == (41, 1)
    assert (plan.sealed_runs, plan.open_runs) == (sealed, still_open)
    assert plan.open_runs > 0


def test_new_threads_are_likely_to_cost_what_the_others_cost_on_average(tmp_path: Path) -> None:
    with running_emulator(threads=10, phase=1) as server:
        sync_here(server, tmp_path / "data")
        asked = len(pages_asked(server))
        new = tuple(f"thread_new_{number}" for number in range(10))
        plan = plan_sync(new, warehouse_path(tmp_path / "data"), source=SOURCE, now=NOW)

    assert (plan.least_requests, plan.likely_requests) == (10, asked)


def test_the_pace_is_that_of_the_last_sync_unless_one_is_given(tmp_path: Path) -> None:
    with running_emulator(threads=10, phase=1) as server:
        sync_here(server, tmp_path / "data")
        warehouse, ids = warehouse_path(tmp_path / "data"), server.corpus.thread_ids()

    measured = plan_sync(ids, warehouse, source=SOURCE, now=NOW)
    given = plan_sync(ids, warehouse, source=SOURCE, now=NOW, requests_per_minute=30)

    assert measured.pace == "the last sync"
    assert measured.requests_per_s is not None
    assert measured.seconds == pytest.approx(measured.least_requests / measured.requests_per_s)
    assert (given.pace, given.requests_per_s, given.seconds) == ("requests_per_minute", 0.5, given.least_requests * 2.0)


def test_a_dry_run_needs_no_server_and_no_key(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "sync", "thread_1", "--dry-run", "--json", "--requests-per-minute", "120")

    assert ended.returncode == 0
    assert json.loads(ended.stdout) == {
        "source": "default",
        "threads": 1,
        "new_threads": 1,
        "sealed_runs": 0,
        "open_runs": 0,
        "least_requests": 1,
        "likely_requests": None,
        "requests_per_s": 2.0,
        "pace": "requests_per_minute",
        "seconds": 0.5,
        "not_due": 0,
    }
    assert not (tmp_path / "data").exists()


def test_a_dry_run_tells_a_person_what_is_known_and_what_is_not(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "sync", "thread_1", "thread_2", "--shard", "2/3", "--dry-run")

    assert ended.returncode == 0
    for text in ("threads", "requests at least", "unknown: no thread was synced before", "Nothing was fetched"):
        assert text in ended.stdout


def test_a_dry_run_of_the_sample_is_refused(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "sync", "--sample", "--dry-run")

    assert ended.returncode == 2
    assert "--sample" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_dry_run_of_all_threads_asks_the_server_for_the_list_of_them_and_for_nothing_else(tmp_path: Path) -> None:
    with running_emulator(threads=3) as server:
        ended = run_cli(tmp_path, "sync", "--all-threads", "thread_new", "--dry-run", environ=environ_for(server))

        asked = {request["path"] for request in server.requests()}
    assert ended.returncode == 0, ended.stderr
    assert asked == {"/v1/threads"}
    assert ended.stdout.splitlines()[1].split() == ["threads", "4"]
    assert ended.stdout.splitlines()[-1] == "Nothing but the server's list of threads was fetched (--dry-run)."
    assert not (tmp_path / "data").exists()
