"""What is sealed is not asked for again, what is open is, and an interrupted sync goes on where it stood."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.extract.known_threads import read_thread_states
from pipeline.extract.plan import RunTask, ThreadTask, fresh_states, thread_tasks
from pipeline.protocol.list_heads import ItemOrder
from pipeline.raw.parts import RawStore
from pipeline.sqlfiles.duck import Connection
from pipeline.warehouse.database import open_for_writing
from pipeline.warehouse.load import load_parts
from tests.landed import Listing, instant, land, run_of, step_of

OPEN = "in_progress"


class Account:
    """An empty warehouse that learns from parts and plans."""

    def __init__(self, connection: Connection, store: RawStore) -> None:
        self._connection = connection
        self._store = store

    def learn(self, *listings: Listing, sync_id: str = "sync_1", started: int = 0, verdict: str | None = None) -> None:
        part = land(self._store, *listings, sync_id=sync_id, started=started, verdict=verdict)
        load_parts(self._connection, [self._store.read_part(part)])

    def plan(self, *thread_ids: str, full: bool = False, hours: float = 1) -> list[ThreadTask]:
        now = instant(0) + timedelta(hours=hours)
        states = read_thread_states(self._connection, thread_ids, source="main", now=now)
        return list(thread_tasks(states, full=full))

    def plan_one(self, *, full: bool = False, hours: float = 1) -> ThreadTask:
        [task] = self.plan("thread_1", full=full, hours=hours)
        return task


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with open_for_writing(tmp_path / "warehouse.duckdb", wait_s=0) as connection:
        yield Account(connection, RawStore(tmp_path / "raw"))


def runs_with(*statuses: str) -> Listing:
    return Listing(1, [run_of(f"run_{number}", status) for number, status in enumerate(statuses)])


def walked(*numbers: int, status: str = "completed", verdict: str = "complete") -> list[Listing]:
    return [
        Listing(2, [step_of(f"step_{n}")], run_id=f"run_{n}", run_status=status, verdict=verdict)  # type: ignore[arg-type]
        for n in numbers
    ]


def test_a_thread_that_nobody_knows_is_listed_from_the_start(account: Account) -> None:
    assert account.plan_one() == ThreadTask("thread_1")


def test_without_a_warehouse_every_thread_is_listed_from_the_start() -> None:
    assert list(thread_tasks(fresh_states(["b", "a"]), full=False)) == [ThreadTask("b"), ThreadTask("a")]


def test_threads_are_planned_in_the_order_in_which_they_were_named(account: Account) -> None:
    account.learn(runs_with("completed"), *walked(0), verdict="complete")

    assert [task.thread_id for task in account.plan("thread_9", "thread_1", "thread_5")] == [
        "thread_9",
        "thread_1",
        "thread_5",
    ]


def test_a_thread_whose_runs_are_all_sealed_is_listed_so_that_it_begins_with_the_last_of_them(account: Account) -> None:
    account.learn(runs_with("completed", "failed", "expired"), *walked(0, 1, 2), verdict="complete")

    task = account.plan_one()

    assert (task.after_id, task.first_index, task.last_id, task.pending) == ("run_1", 2, "run_2", None)


def test_the_list_starts_before_the_first_run_that_is_open_and_what_is_sealed_behind_it_stays_sealed(
    account: Account,
) -> None:
    statuses = ("completed", "completed", OPEN, "completed", OPEN)
    listings = [runs_with(*statuses), *walked(0, 1, 3), *walked(2, 4, status=OPEN)]
    account.learn(*listings, verdict="complete")

    task = account.plan_one()

    assert (task.after_id, task.first_index, task.last_id) == ("run_0", 1, "run_1")
    assert task.sealed_ids == frozenset({"run_0", "run_1", "run_3"})


def test_a_run_whose_walk_broke_is_walked_again(account: Account) -> None:
    account.learn(runs_with("completed", "completed"), *walked(0), *walked(1, verdict="broken"), verdict="incomplete")

    task = account.plan_one()

    assert (task.after_id, task.sealed_ids, task.pending) == (None, frozenset({"run_0"}), None)


@pytest.mark.parametrize("order", ["desc", "mixed", None])
def test_a_list_that_was_not_seen_to_ascend_is_always_asked_for_from_the_start(
    account: Account, order: ItemOrder | None
) -> None:
    account.learn(replace(runs_with("completed", "completed"), item_order=order), *walked(0, 1), verdict="complete")

    task = account.plan_one()

    assert (task.after_id, task.last_id, task.sealed_ids) == (None, None, frozenset({"run_0", "run_1"}))


def test_a_list_of_which_one_run_was_seen_last_has_the_order_that_was_seen_before(account: Account) -> None:
    account.learn(runs_with("completed", "completed"), *walked(0, 1), verdict="complete")
    known = Listing(3, [run_of("run_1")], first_index=1, after_id="run_0", item_order=None)
    account.learn(known, sync_id="sync_2", started=3, verdict="complete")

    assert (account.plan_one().after_id, account.plan_one().last_id) == ("run_0", "run_1")


def test_runs_that_a_server_has_no_more_are_no_cursors(account: Account) -> None:
    account.learn(runs_with("completed", "completed", "completed", "completed"), *walked(0, 1, 2, 3))
    left = Listing(3, [run_of("run_0"), run_of("run_3")])
    account.learn(left, sync_id="sync_2", started=3, verdict="complete")

    task = account.plan_one()

    assert (task.after_id, task.first_index, task.last_id) == ("run_0", 1, "run_3")
    assert task.listed_ids == frozenset({"run_0", "run_3"})


def test_full_takes_nothing_as_sealed(account: Account) -> None:
    account.learn(runs_with("completed"), *walked(0), verdict="complete")

    assert account.plan_one(full=True) == ThreadTask("thread_1")


def test_a_list_that_did_not_end_well_is_asked_for_from_the_start(account: Account) -> None:
    account.learn(runs_with("completed"), *walked(0), verdict="complete")
    account.learn(Listing(3, [], verdict="failed"), sync_id="sync_2", started=3, verdict="incomplete")

    task = account.plan_one()

    assert (task.after_id, task.first_index, task.sealed_ids) == (None, 0, frozenset({"run_0"}))


@pytest.mark.parametrize("verdict", [None, "interrupted"])
def test_what_a_sync_that_was_killed_or_interrupted_has_listed_is_not_listed_again(
    account: Account, verdict: str | None
) -> None:
    account.learn(runs_with("completed", OPEN, "completed", OPEN), *walked(0), *walked(1, status=OPEN), verdict=verdict)

    task = account.plan_one()

    assert task.pending == (RunTask("thread_1", "run_2", "completed"), RunTask("thread_1", "run_3", OPEN))


@pytest.mark.parametrize("verdict", ["complete", "incomplete", "refused"])
def test_after_a_sync_that_ended_threads_are_listed_again(account: Account, verdict: str) -> None:
    account.learn(runs_with("completed", "completed"), *walked(0), verdict=verdict)

    assert account.plan_one().pending is None


def test_an_interrupted_sync_is_not_gone_on_with_the_next_day(account: Account) -> None:
    account.learn(runs_with("completed"), verdict="interrupted")

    assert account.plan_one(hours=23).pending == (RunTask("thread_1", "run_0", "completed"),)
    assert account.plan_one(hours=25).pending is None


def test_an_interrupted_sync_is_not_gone_on_with_after_another_one_has_ended(account: Account) -> None:
    account.learn(runs_with("completed"), verdict="interrupted")
    account.learn(Listing(4, [], thread_id="thread_2"), sync_id="sync_2", started=3, verdict="complete")

    assert account.plan_one().pending is None


def test_several_interruptions_in_a_row_are_gone_on_with_together(account: Account) -> None:
    account.learn(runs_with("completed", "completed", "completed"), *walked(0))
    account.learn(*walked(1), sync_id="sync_2", started=3, verdict="interrupted")

    assert account.plan_one().pending == (RunTask("thread_1", "run_2", "completed"),)


def test_a_plan_of_many_threads_is_one_task_each(account: Account) -> None:
    names: Sequence[str] = [f"thread_{number}" for number in range(1000)]

    assert [task.thread_id for task in account.plan(*names)] == list(names)
