"""What a sync has to fetch of each thread, from what earlier ones sealed; pure."""

from dataclasses import dataclass


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
