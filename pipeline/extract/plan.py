"""What a sync has to fetch of each thread, from what earlier ones sealed; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class RunTask:
    """A run whose steps are to be walked; `status` as the run's list gave it."""

    thread_id: str
    run_id: str
    status: str | None


@dataclass(frozen=True, slots=True)
class ThreadTask:
    """A thread to visit.

    `after_id` is the last run of the sealed beginning of its list (None: list from the start) and `first_index` the
    position that follows it. `pending` is set when an interrupted sync has listed the runs: only these are left.
    """

    thread_id: str
    after_id: str | None = None
    first_index: int = 0
    sealed_ids: frozenset[str] = frozenset()
    pending: tuple[RunTask, ...] | None = None

    def from_start(self) -> "ThreadTask":
        """The same thread, its list walked from the first run; what is sealed stays sealed."""
        return ThreadTask(self.thread_id, sealed_ids=self.sealed_ids)


def thread_tasks(states: pl.DataFrame, *, full: bool) -> Iterator[ThreadTask]:
    """A task for each row of `planning.read_thread_states`; `full` takes nothing as sealed or listed."""
    for row in states.iter_rows(named=True):
        if full:
            yield ThreadTask(row["thread_id"])
            continue
        pending = zip(row["pending_ids"] or (), row["pending_statuses"] or (), strict=True)
        yield ThreadTask(
            row["thread_id"],
            after_id=row["after_id"],
            first_index=row["first_index"] or 0,
            sealed_ids=frozenset(row["sealed_ids"] or ()),
            pending=tuple(RunTask(row["thread_id"], run_id, status or None) for run_id, status in pending)
            if row["is_listed"]
            else None,
        )


def fresh_states(thread_ids: Sequence[str]) -> pl.DataFrame:
    """The states of threads that no warehouse knows."""
    return pl.DataFrame(
        {"thread_id": thread_ids},
        schema={"thread_id": pl.String},
    ).with_columns(
        after_id=pl.lit(None, pl.String),
        first_index=pl.lit(None, pl.Int64),
        sealed_ids=pl.lit(None, pl.List(pl.String)),
        is_listed=pl.lit(False),
        pending_ids=pl.lit(None, pl.List(pl.String)),
        pending_statuses=pl.lit(None, pl.List(pl.String)),
    )
