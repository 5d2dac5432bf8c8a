"""What a sync fetched beside what is kept of it: rows counted once they are loaded, and what was dropped, by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.console.tables import count_of
from pipeline.program import command
from pipeline.sqlfiles.duck import read_frame
from pipeline.warehouse.checks import TwinRun, find_twins
from pipeline.warehouse.database import open_for_reading

_NAMED = 3
# A row is of the walk that brought it, or of one that another process made meanwhile or since. The pairs are joined,
# not asked for in the condition of a left join, which DuckDB 1.5 refuses.
_WALKED = """
with walked as (
    select thread_id, run_id, walk_id, verdict, items, started_at from walks
    where sync_id = $sync_id and source = $source and resource = '{}' and items > 0
),
bringing as (
    select walk_id, thread_id, run_id, walk_id as brought_by from walked
    union all
    select walked.walk_id, walked.thread_id, walked.run_id, others.walk_id from walked
    inner join walks as others
        on others.source = $source and others.thread_id = walked.thread_id
        and others.run_id is not distinct from walked.run_id and others.ended_at >= walked.started_at
    where others.sync_id <> $sync_id
)
"""
_WALKED_STEPS = f"""
{_WALKED.format("steps")},
held as (
    select bringing.walk_id as walked_by, rows.* from bringing
    inner join run_steps as rows
        on rows.source = $source and rows.thread_id = bringing.thread_id and rows.run_id = bringing.run_id
        and rows.walk_id = bringing.brought_by
)
"""
# Grain: one walk of the sync over steps. Steps that the list had, those of them that are rows, and their calls.
_STEPS = f"""
{_WALKED_STEPS}
select walked.thread_id, walked.run_id, walked.verdict, walked.items, count(held.step_id) as steps,
    coalesce(sum(held.tool_call_count), 0)::bigint as calls_said
from walked
left join held on held.walked_by = walked.walk_id
group by all
order by walked.thread_id, walked.run_id
"""
_CALLS = f"""
{_WALKED_STEPS}
select count(*) as calls from tool_calls
where source = $source and (thread_id, run_id, step_id) in (select (thread_id, run_id, step_id) from held)
"""
_RUNS = f"""
{_WALKED.format("runs")}
select walked.thread_id, walked.verdict, walked.items, count(rows.run_id) as runs
from walked
left join bringing on bringing.walk_id = walked.walk_id
left join runs as rows
    on rows.source = $source and rows.thread_id = bringing.thread_id and rows.walk_id = bringing.brought_by
group by all
order by walked.thread_id
"""


# Grain: two runs of a thread that have one and the same step, where the steps of one took more than that run says. Ids
# need be unique only in their parent, but a thread has one run at a time.
_SHARED = """
with walked as (
    select thread_id, run_id, walk_id from walks
    where sync_id = $sync_id and source = $source and resource = 'steps' and items > 0
),
exceeding as (
    select run_steps.thread_id, run_steps.run_id
    from run_steps
    join runs on runs.source = $source and runs.thread_id = run_steps.thread_id and runs.run_id = run_steps.run_id
    where run_steps.source = $source and run_steps.walk_id in (select walk_id from walked)
    group by all
    having sum(run_steps.total_tokens) > any_value(runs.total_tokens)
),
steps as (
    select thread_id, run_id, step_id, created_at from run_steps
    where source = $source and (thread_id, run_id) in (select (thread_id, run_id) from exceeding)
)
select steps.thread_id,
    'runs ' || least(steps.run_id, others.run_id) || ' and ' || greatest(steps.run_id, others.run_id) as parents,
    'step ' || min(steps.step_id) as child
from steps
join run_steps as others
    on others.source = $source and others.thread_id = steps.thread_id and others.step_id = steps.step_id
    and others.created_at = steps.created_at and others.run_id <> steps.run_id
group by all
order by all
"""
# Grain: one run that had ended when the sync walked its steps, and that it or they do not say all of.
_UNSETTLED = """
select walks.thread_id || ' ' || walks.run_id as run, runs.sealed
from walks
inner join runs on runs.source = walks.source and runs.thread_id = walks.thread_id and runs.run_id = walks.run_id
where walks.sync_id = $sync_id and walks.source = $source and walks.resource = 'steps' and not walks.is_settled
    and walks.verdict = 'complete'
order by run
"""
_SAYS_TOO_LITTLE = "no usage, an open step, or another usage than the steps'"


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows in the warehouse that a sync brought, threads that it brought more of, and a line on what was dropped.

    `shared` is a line on what two parents have, of which one cannot be true.
    `unsettled` are runs that have ended and do not say all yet, which the next sync asks for again; of those that are
    `sealed_unsettled` it will not.
    """

    runs: int
    steps: int
    calls: int
    thread_ids: frozenset[str] = frozenset()
    dropped: str | None = None
    shared: str | None = None
    unsettled: Sequence[str] = ()
    sealed_unsettled: Sequence[str] = ()

    @property
    def faults(self) -> list[str]:
        """Why what is in the warehouse is not what the server has."""
        return [fault for fault in (self.dropped, self.shared) if fault is not None]

    @property
    def notes(self) -> list[str]:
        """A line on runs that have ended and do not say all, those that are asked for again and those that are not."""
        kinds = (
            (self.unsettled, "not settled yet", "the next sync asks again, until `settle_after` has passed"),
            (self.sealed_unsettled, "sealed though not settled", "`settle_after` has passed; `sync --full` asks again"),
        )
        return [
            f"{count_of(len(runs), 'runs')} {what} ({_named(runs)}): {_SAYS_TOO_LITTLE}, which"
            f" `{command('query incomplete_runs')}` shows; {then}"
            for runs, what, then in kinds
            if runs
        ]


def read_kept(warehouse: Path, sync_id: str, *, source: str, nameless: Collection[str] = ()) -> Kept:
    """Compare the lists that a sync walked with the rows that came of them.

    Runs of `nameless` threads did not say whose they are.
    """
    asked = {"sync_id": sync_id, "source": source}
    with open_for_reading(warehouse) as connection:
        steps = read_frame(connection, _STEPS, asked).rows(named=True)
        runs = read_frame(connection, _RUNS, asked).rows(named=True)
        calls = int(read_frame(connection, _CALLS, asked).item())
        unsettled = read_frame(connection, _UNSETTLED, asked).rows()
        shared = read_frame(connection, _SHARED, asked).rows()
        twins = find_twins(connection, source=source, sync_id=sync_id, nameless=nameless)
    # What a walk brought that did not come to the end is counted there, and may be here from an earlier one.
    whole_runs = [row for row in runs if row["verdict"] == "complete"]
    whole_steps = [row for row in steps if row["verdict"] == "complete"]
    lost = [
        *_lost("runs", [(row["thread_id"], row["items"] - row["runs"]) for row in whole_runs]),
        *_lost("steps", [(f"{row['thread_id']} {row['run_id']}", row["items"] - row["steps"]) for row in whole_steps]),
    ]
    said = sum(row["calls_said"] for row in steps)
    if said != calls:
        lost.append(f"{said - calls:,} of {count_of(said, 'tool calls')}")
    threads = {row["thread_id"] for row in whole_runs if row["items"] > row["runs"]}
    threads |= {row["thread_id"] for row in whole_steps if row["items"] > row["steps"]}
    kept_runs, kept_steps = sum(row["runs"] for row in runs), sum(row["steps"] for row in steps)
    kept = Kept(
        kept_runs,
        kept_steps,
        calls,
        unsettled=[run for run, is_sealed in unsettled if not is_sealed],
        sealed_unsettled=[run for run, is_sealed in unsettled if is_sealed],
        shared=_shared(shared, twins),
        thread_ids=frozenset([each[0] for each in shared] + [name for twin in twins for name in twin.thread_ids]),
    )
    if not lost:
        return kept
    dropped = f"fetched, but not in the warehouse: {', '.join(lost)}; see: {command('query rejects_summary')}"
    return replace(kept, thread_ids=kept.thread_ids | threads, dropped=dropped)


def _shared(steps: Sequence[tuple[str, str, str]], twins: Sequence[TwinRun]) -> str | None:
    # One run of those that the same threads have.
    of_threads = {twin.thread_ids: f"{twin.noun} {twin.run_id}" for twin in reversed(twins)}
    pairs = [*steps, *((threads[0], f"threads {' and '.join(threads)}", run) for threads, run in of_threads.items())]
    if not pairs:
        return None
    named = _named([f"{thread_id}: {parents} have {child}" for thread_id, parents, child in sorted(pairs)])
    return (
        f"what can be of one alone is of two ({named}), so tokens and costs have it twice: does a gateway drop ids from"
        " the path, or filters from the query?"
    )


def _lost(noun: str, places: Sequence[tuple[str, int]]) -> list[str]:
    missing = [(place, count) for place, count in places if count > 0]
    if not missing:
        return []
    named = _named([place for place, _ in missing])
    return [f"{count_of(sum(count for _, count in missing), noun)} ({named})"]


def _named(places: Sequence[str]) -> str:
    return ", ".join(places[:_NAMED]) + (", ..." if len(places) > _NAMED else "")
