"""What a sync has to fetch of each thread, from what earlier ones sealed; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from pipeline.protocol.list_heads import Tokens
from pipeline.protocol.wire import TERMINAL_STATUSES
from pipeline.raw.columns import INSTANT

_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")
_RUNS = pl.List(
    pl.Struct({"run_id": pl.String, "status": pl.String, "ended_at": INSTANT, **dict.fromkeys(_TOKENS, pl.Int64)})
)


@dataclass(frozen=True, slots=True)
class RunTask:
    """A run whose steps are to be walked; what it says of itself as the run's list gave it."""

    thread_id: str
    run_id: str
    status: str | None
    ended_at: datetime | None = None
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def has_ended(self) -> bool:
        """Whether it can have no more steps."""
        return self.status in TERMINAL_STATUSES

    def differs_from(self, known: "RunTask") -> bool:
        """Whether it says what the run known before did not say: it went on, or its usage came."""
        said, before = (self.status, self.ended_at, *self.tokens), (known.status, known.ended_at, *known.tokens)
        return any(now is not None and now != then for now, then in zip(said, before, strict=True))


@dataclass(frozen=True, slots=True)
class ThreadTask:
    """A thread to visit.

    `after_id` is the run that its list is asked for after (None: from the start) and `first_index` the position that
    follows it. It is not the last run of the sealed beginning but the one before: the list has to begin with `last_id`,
    or the server does not know its cursors any more. `sealed_ids` are not walked again unless they say something else
    than the `sealed` did. The `listed_ids` were in the last list, `told_ids` are runs of the thread that something else
    told of, and `seen_runs` is how many a list of all showed of it (None: there was none): its own list must have them.
    `pending` is set when an interrupted sync has listed the runs: only these are left.
    Of a session: `whole_at` is when all of it was last known to be here, `settling` its turns that have ended and whose
    usage may change. Of a response: `next_id` is the one that goes on from it.
    """

    thread_id: str
    after_id: str | None = None
    first_index: int = 0
    sealed_ids: frozenset[str] = frozenset()
    pending: tuple[RunTask, ...] | None = None
    last_id: str | None = None
    sealed: Mapping[str, RunTask] = field(default_factory=dict, compare=False)
    listed_ids: frozenset[str] = field(default=frozenset(), compare=False)
    told_ids: frozenset[str] = field(default=frozenset(), compare=False)
    seen_runs: int | None = field(default=None, compare=False)
    whole_at: datetime | None = None
    settling: Mapping[str, RunTask] = field(default_factory=dict, compare=False)
    next_id: str | None = None

    def from_start(self) -> "ThreadTask":
        """The same thread, its list walked from the first run; what is sealed stays sealed."""
        return replace(self, after_id=None, first_index=0, last_id=None)

    def is_sealed(self, run: RunTask) -> bool:
        """Whether nothing of the run is to be fetched."""
        if run.run_id not in self.sealed_ids:
            return False
        known = self.sealed.get(run.run_id)
        return known is None or not run.differs_from(known)


def thread_tasks(states: pl.DataFrame, *, full: bool) -> Iterator[ThreadTask]:
    """A task for each row of `known_threads.read_thread_states`; `full` takes nothing as sealed or listed."""
    for row in states.iter_rows(named=True):
        thread_id = row["thread_id"]
        if full:
            yield ThreadTask(thread_id, next_id=row.get("next_id"), seen_runs=row.get("seen_runs"))
            continue
        sealed = {run["run_id"]: _run_task(thread_id, run) for run in row["sealed_runs"] or ()}
        yield ThreadTask(
            thread_id,
            after_id=row["after_id"],
            first_index=row["first_index"] or 0,
            sealed_ids=frozenset(sealed),
            pending=tuple(_run_task(thread_id, run) for run in row["pending_runs"] or ()) if row["is_listed"] else None,
            last_id=row["last_id"],
            sealed=sealed,
            listed_ids=frozenset(row["listed_ids"] or ()),
            told_ids=frozenset(row["told_ids"] or ()),
            seen_runs=row.get("seen_runs"),
            whole_at=row.get("whole_at"),
            settling={run["run_id"]: _run_task(thread_id, run) for run in row.get("settling_runs") or ()},
            next_id=row.get("next_id"),
        )


def _run_task(thread_id: str, run: Mapping[str, Any]) -> RunTask:
    tokens = Tokens(run["prompt_tokens"], run["completion_tokens"], run["total_tokens"])
    return RunTask(thread_id, run["run_id"], run["status"], run["ended_at"], tokens)


def with_seen(states: pl.DataFrame, seen: Mapping[str, int]) -> pl.DataFrame:
    """The states with how many runs a list of all showed of each thread, where it did."""
    counts = [seen.get(thread_id) for thread_id in states["thread_id"]]
    return states.with_columns(pl.Series("seen_runs", counts, pl.Int64))


def fresh_states(thread_ids: Sequence[str]) -> pl.DataFrame:
    """The states of threads that no warehouse knows."""
    return pl.DataFrame(
        {"thread_id": thread_ids},
        schema={"thread_id": pl.String},
    ).with_columns(
        after_id=pl.lit(None, pl.String),
        first_index=pl.lit(None, pl.Int64),
        last_id=pl.lit(None, pl.String),
        sealed_runs=pl.lit(None, _RUNS),
        listed_ids=pl.lit(None, pl.List(pl.String)),
        told_ids=pl.lit(None, pl.List(pl.String)),
        is_listed=pl.lit(False),
        pending_runs=pl.lit(None, _RUNS),
    )
