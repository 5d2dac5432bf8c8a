"""What a sync fetched beside what is kept of it: rows counted once they are loaded, and what was dropped, by name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.console.tables import count_of
from pipeline.program import command
from pipeline.sqlfiles.duck import read_frame
from pipeline.warehouse.database import open_for_reading

_NAMED = 3
# Grain: one walk of the sync over steps. Steps that the list had, those of them that are rows, and their calls.
_STEPS = """
with walked as (
    select thread_id, run_id, walk_id, verdict, items from walks
    where sync_id = $sync_id and source = $source and resource = 'steps' and items > 0
)
select walked.thread_id, walked.run_id, walked.verdict, walked.items, count(run_steps.step_id) as steps,
    coalesce(sum(run_steps.tool_call_count), 0)::bigint as calls_said
from walked
left join run_steps on run_steps.walk_id = walked.walk_id and run_steps.source = $source
group by all
order by walked.thread_id, walked.run_id
"""
_CALLS = """
select count(*) as calls from tool_calls
where source = $source and (thread_id, run_id, step_id) in (
    select (thread_id, run_id, step_id) from run_steps
    where source = $source and walk_id in (
        select walk_id from walks where sync_id = $sync_id and source = $source and resource = 'steps'
    )
)
"""
_RUNS = """
with listed as (
    select thread_id, walk_id, verdict, items from walks
    where sync_id = $sync_id and source = $source and resource = 'runs' and items > 0
)
select listed.thread_id, listed.verdict, listed.items, count(runs.run_id) as runs
from listed
left join runs on runs.walk_id = listed.walk_id and runs.source = $source
group by all
order by listed.thread_id
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

    `unsettled` are runs that have ended and do not say all yet, which the next sync asks for again; of those that are
    `sealed_unsettled` it will not.
    """

    runs: int
    steps: int
    calls: int
    thread_ids: frozenset[str] = frozenset()
    dropped: str | None = None
    unsettled: Sequence[str] = ()
    sealed_unsettled: Sequence[str] = ()

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


def read_kept(warehouse: Path, sync_id: str, *, source: str) -> Kept:
    """Compare the lists that a sync walked with the rows that came of them."""
    asked = {"sync_id": sync_id, "source": source}
    with open_for_reading(warehouse) as connection:
        steps = read_frame(connection, _STEPS, asked).rows(named=True)
        runs = read_frame(connection, _RUNS, asked).rows(named=True)
        calls = int(read_frame(connection, _CALLS, asked).item())
        unsettled = read_frame(connection, _UNSETTLED, asked).rows()
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
    )
    if not lost:
        return kept
    dropped = f"fetched, but not in the warehouse: {', '.join(lost)}; see: {command('query rejects_summary')}"
    return replace(kept, thread_ids=frozenset(threads), dropped=dropped)


def _lost(noun: str, places: Sequence[tuple[str, int]]) -> list[str]:
    missing = [(place, count) for place, count in places if count > 0]
    if not missing:
        return []
    named = _named([place for place, _ in missing])
    return [f"{count_of(sum(count for _, count in missing), noun)} ({named})"]


def _named(places: Sequence[str]) -> str:
    return ", ".join(places[:_NAMED]) + (", ..." if len(places) > _NAMED else "")
