"""A share that a dead process has begun goes on where its parts end."""

from pathlib import Path

from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.extract.resume import go_on
from pipeline.raw.parts import RawStore
from tests.landed import Listing, land, run_of, step_of


def test_what_has_landed_is_left_out_and_counted(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    part = land(
        store,
        Listing(1, [run_of("run_1"), run_of("run_2"), run_of("run_3", "queued")]),
        Listing(1, [step_of("step_1"), step_of("step_2")], run_id="run_1"),
        Listing(1, [], thread_id="thread_gone", verdict="missing"),
        sync_id="sync_1",
        started=1,
    )
    tasks = [
        ThreadTask("thread_1", sealed_ids=frozenset({"run_2"})),
        ThreadTask("thread_2", after_id="run_9", first_index=10),
        ThreadTask("thread_gone"),
        ThreadTask("thread_4", pending=(RunTask("thread_4", "run_1", None), RunTask("thread_4", "run_8", None))),
    ]

    left, progress = go_on(tasks, store.read_part(part).walks)

    assert left == [
        ThreadTask("thread_1", sealed_ids=frozenset({"run_2"}), pending=(RunTask("thread_1", "run_3", "queued"),)),
        ThreadTask("thread_2", after_id="run_9", first_index=10),
        ThreadTask("thread_gone", pending=()),
        # A run of the same id in another thread is another run.
        ThreadTask("thread_4", pending=(RunTask("thread_4", "run_1", None), RunTask("thread_4", "run_8", None))),
    ]
    assert (progress.walks, progress.runs, progress.runs_sealed, progress.steps) == (3, 3, 1, 2)
    assert (progress.threads_missing, progress.threads_done) == (1, 0)
