"""A server that numbers runs within their thread and steps within their run: every row is there once, everywhere."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.extract.known_threads import read_thread_states
from pipeline.extract.plan import thread_tasks
from pipeline.raw.parts import RawStore
from pipeline.raw.places import raw_store
from pipeline.upkeep.data_folder import DataFolder
from pipeline.upkeep.removal import forget_threads
from pipeline.upkeep.removal_targets import Wanted, find_targets
from pipeline.warehouse.checks import check_grains, run_checks
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from tests.archived import function_step, import_here, run_object, write_json
from tests.attached import looking_into
from tests.lakes import read_lake
from tests.landed import NOON, Json, Listing, land, run_of, step_of
from tests.publish_parts import publish

THREADS, RUNS, STEPS = ("thread_a", "thread_b"), ("run_1", "run_2"), ("step_1", "step_2")
KEYS = sorted(itertools.product(THREADS, RUNS, STEPS))
CREATED = 1_732_104_000
STEP_TABLES = ("run_steps", "tool_calls", "cost_ledger")
Keys = list[tuple[Any, ...]]


def usage(tokens: int) -> Json:
    return {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}


def walks() -> Iterator[Listing]:
    """Each run has tokens of its own, so that one in the place of another is seen."""
    for thread in THREADS:
        runs = [
            run_of(run, thread_id=thread, model="gpt-4o", created_at=CREATED, usage=usage(2 * tokens_of(thread, run)))
            for run in RUNS
        ]
        yield Listing(0, runs, thread_id=thread)
        for run in RUNS:
            fields: dict[str, Any] = {"thread_id": thread, "run_id": run, "created_at": CREATED}
            steps = [step_of(step, **fields, usage=usage(tokens_of(thread, run))) for step in STEPS]
            yield Listing(1, steps, thread_id=thread, run_id=run)


def tokens_of(thread: str, run: str) -> int:
    return 1_000_000 * (1 + THREADS.index(thread) * 2 + RUNS.index(run))


def land_numbered(data_dir: Path) -> RawStore:
    """A part for each walk."""
    store = raw_store(data_dir)
    for number, listing in enumerate(walks()):
        land(store, listing, sync_id=f"sync_{number}")
    return store


def keys_of(data_dir: Path, table: str) -> Keys:
    with looking_into(warehouse_path(data_dir)) as connection:
        # The ledger has what no step of a run tells without one.
        query = f"select thread_id, run_id, step_id from {table} where step_id <> '' order by all"
        return connection.execute(query).fetchall()


def assert_right(data_dir: Path) -> None:
    for table in STEP_TABLES:
        assert keys_of(data_dir, table) == KEYS, table
    with looking_into(warehouse_path(data_dir)) as connection:
        costs = connection.execute("select thread_id, run_id, cost_usd / 5 * 1000000 from run_costs order by all")
        assert costs.fetchall() == [(*key, tokens_of(*key)) for key in itertools.product(THREADS, RUNS)]
        states = connection.execute("select state, count(*) from completeness group by all")
        assert states.fetchall() == [("complete", len(THREADS) * len(RUNS))]
        assert run_checks(connection) + check_grains(connection) == []


def test_all_is_there_once_after_a_load_of_each_part_and_after_a_rebuild(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    for number, listing in enumerate(reversed(list(walks()))):
        land(store, listing, sync_id=f"sync_{number}")
        load_new_parts(store, warehouse_path(tmp_path), wait_s=5)
    assert_right(tmp_path)

    rebuild(store, warehouse_path(tmp_path), wait_s=5)

    assert_right(tmp_path)


def test_walked_again_a_run_replaces_its_own_steps_only(tmp_path: Path) -> None:
    store = land_numbered(tmp_path)
    load_new_parts(store, warehouse_path(tmp_path), wait_s=5)
    fields: dict[str, Any] = {"thread_id": "thread_b", "run_id": "run_1", "created_at": CREATED}
    fewer = [step_of("step_1", **fields, usage=usage(tokens_of("thread_b", "run_1")))]
    land(store, Listing(5, fewer, thread_id="thread_b", run_id="run_1"), sync_id="sync_again")

    load_new_parts(store, warehouse_path(tmp_path), wait_s=5)

    kept = [key for key in KEYS if key != ("thread_b", "run_1", "step_2")]
    assert [keys_of(tmp_path, table) for table in STEP_TABLES] == [kept] * len(STEP_TABLES)


@pytest.mark.parametrize("batch_bytes", [1, 2**25])
def test_a_lake_has_all_of_it_once(tmp_path: Path, batch_bytes: int) -> None:
    load_new_parts(land_numbered(tmp_path), warehouse_path(tmp_path), wait_s=5)

    publish(tmp_path, tmp_path / "lake", batch_bytes=batch_bytes)

    tables = read_lake(tmp_path / "lake")
    for table in STEP_TABLES:
        assert sorted(tables[table].select("thread_id", "run_id", "step_id").iter_rows()) == KEYS


def test_archives_have_all_of_it_once_also_when_imported_piece_by_piece(tmp_path: Path) -> None:
    objects = [
        made
        for thread, run in itertools.product(THREADS, RUNS)
        for made in (
            run_object(run, thread_id=thread, total=None, usage=usage(2 * tokens_of(thread, run)), created_at=CREATED),
            *(
                function_step(step, "{}", thread_id=thread, run_id=run, usage=usage(tokens_of(thread, run)))
                | {"created_at": CREATED}
                for step in STEPS
            ),
        )
    ]
    for number, found in enumerate(objects):
        import_here(tmp_path, write_json(tmp_path / f"{number}.json", [found]), now=NOON + timedelta(minutes=number))
    whole = tmp_path / "whole"
    import_here(whole, write_json(tmp_path / "all.json", objects))

    assert_right(tmp_path)
    assert_right(whole)


def test_a_thread_is_forgotten_with_its_own_runs_only(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path, land_numbered(tmp_path), warehouse_path(tmp_path), 5)
    targets = find_targets(folder, Wanted(["thread_a"]), {})

    forget_threads(folder, targets, folder.unreadable(), now=NOON)

    kept = [key for key in KEYS if key[0] == "thread_b"]
    assert [keys_of(tmp_path, table) for table in STEP_TABLES] == [kept] * len(STEP_TABLES)


def test_a_run_that_another_thread_has_sealed_is_still_to_be_fetched(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    listed, steps, *_ = walks()
    land(store, listed, steps, sync_id="sync_1")
    land(store, Listing(0, [run_of("run_1", thread_id="thread_b")], thread_id="thread_b"), sync_id="sync_2")
    load_new_parts(store, warehouse_path(tmp_path), wait_s=5)

    with looking_into(warehouse_path(tmp_path)) as connection:
        states = read_thread_states(connection, THREADS, source="main", now=NOON)

    assert [task.sealed_ids for task in thread_tasks(states, full=False)] == [{"run_1"}, set()]
