"""What imported archives prove, read from the warehouse: what is missing, and of what nothing tells either way."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.console.tables import count_of
from pipeline.sqlfiles.duck import read_frame
from pipeline.warehouse.checks import Finding, find_twins, run_check, threads_of_ids
from pipeline.warehouse.database import open_for_reading

# Of what is missing, these many are named.
NAMED_GAPS = 20

_CUT_LISTS = """
select where_found || case when run_id is null then ' (runs of ' else ' (steps of ' || run_id || ' in ' end
    || thread_id || ')' as gap
from cut_lists where source = $source and ($imports is null or walk_id in (
    select walk_id from walks where list_contains($imports, sync_id)
)) order by gap
"""
# Runs that these imports brought, or steps of.
_IS_ASKED = """($imports is null or (source, thread_id, run_id) in (
    select (source, thread_id, run_id) from walks where resource = 'steps' and list_contains($imports, sync_id)
    union all
    select (runs.source, runs.thread_id, runs.run_id) from runs inner join walks on walks.walk_id = runs.walk_id
    where list_contains($imports, walks.sync_id)
))"""
# Runs whose steps come from archives.
_DIFFERENCES = f"""
select run_id || ' in ' || coalesce(thread_id, '?') || ': its steps have '
    || coalesce(format('{{:,}}', step_total_tokens), 'more than all')
    || case when coalesce(step_total_tokens > run_total_tokens, true) then ' tokens, the run says ' else ' of the ' end
    || coalesce(format('{{:,}}', coalesce(run_total_tokens, run_prompt_tokens, run_completion_tokens)), 'others')
    || case when coalesce(step_total_tokens > run_total_tokens, true) then '' else ' tokens of the run' end
    as gap
from completeness
where source = $source and state = 'usage_differs' and walk_verdict = 'imported' and {_IS_ASKED}
order by run_id
"""
_UNPROVEN = f"""
select
    count(*) filter (where state = 'steps_missing' and steps = 0) as runs_without_steps,
    count(*) filter (where state = 'steps_missing' and steps > 0) as runs_without_usage,
    count(*) filter (where state = 'run_missing') as steps_without_run,
    count(*) filter (where state = 'open') as open_runs
from completeness where source = $source and coalesce(walk_verdict, 'imported') = 'imported' and {_IS_ASKED}
"""
# What landed and is in no table, whatever was the matter with it.
_DROPPED = """
with landed as (
    select source, resource, thread_id, run_id, max(items) as items
    from walks
    where source = $source and verdict = 'imported' and ($imports is null or list_contains($imports, sync_id))
    group by source, resource, thread_id, run_id
),
kept as (
    select 'runs' as resource, source, thread_id, null as run_id, count(*) as items
    from runs where source = $source group by source, thread_id
    union all
    select 'steps' as resource, source, thread_id, run_id, count(*) as items
    from run_steps where source = $source group by source, thread_id, run_id
)
select coalesce(landed.run_id || ' in ', '') || landed.thread_id || ': ' || (landed.items - coalesce(kept.items, 0))
    || ' of ' || landed.items || ' ' || landed.resource || ' that were found are in no table' as gap
from landed
left join kept on kept.resource = landed.resource and kept.thread_id = landed.thread_id
    and kept.run_id is not distinct from landed.run_id
where landed.items > coalesce(kept.items, 0)
order by gap
"""
# Steps whose run is not here make a run as well.
_SOURCES = """
select count(distinct source) as sources from (select source from runs union all select source from run_steps)
"""
_WORDS = {
    "runs_without_steps": ("run has no steps here", "runs have no steps here"),
    "runs_without_usage": ("run has steps and no usage to compare", "runs have steps and no usage to compare"),
    "steps_without_run": ("run is not here, only its steps", "runs are not here, only their steps"),
    "open_runs": ("run had not ended", "runs had not ended"),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of archives: lists that are cut, runs whose steps do not reach their usage, what nothing tells of, what was found
    and is in no table, and runs that are there under two threads, of which one alone can have them or their steps.
    """

    cut_lists: list[str]
    differences: list[str]
    unproven: dict[str, int]
    dropped: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether something is missing for certain."""
        return bool(self.gaps)

    @property
    def gaps(self) -> list[str]:
        """A line for each place where something is missing."""
        return [*self.cut_lists, *self.differences, *self.dropped, *self.twice]

    def values(self) -> dict[str, Any]:
        """For machines."""
        return {
            "cut_lists": len(self.cut_lists),
            "usage_differs": len(self.differences),
            "dropped": len(self.dropped),
            "runs_in_two_threads": len(self.twice),
            "missing": self.gaps[:NAMED_GAPS],
            "unproven": self.unproven,
        }

    def summary(self) -> str:
        """How much is missing, in one line."""
        counts = [
            (count_of(len(self.cut_lists), "lists"), "cut", self.cut_lists),
            (count_of(len(self.differences), "runs"), "with other usage than their steps", self.differences),
            (count_of(len(self.dropped), "lists"), "that lost something on their way into the tables", self.dropped),
            (count_of(len(self.twice), "runs"), "in two threads", self.twice),
        ]
        return "archives are not whole: " + ", ".join(f"{count} {what}" for count, what, found in counts if found)

    def unproven_line(self) -> str | None:
        """Of what nothing tells whether it is whole, in one line."""
        parts = [f"{count:,} {_WORDS[name][count != 1]}" for name, count in self.unproven.items() if count]
        return f"nothing tells whether more is missing: {', '.join(parts)}" if parts else None


NO_EVIDENCE = Evidence([], [], {})


def read_evidence(
    warehouse: Path, *, source: str, imports: Collection[str] | None = None, runs_alone: Sequence[str] = ()
) -> Evidence:
    """What the archives of a source prove, or those that these imports read; nothing where there is no warehouse.

    Of `runs_alone` they have steps that name no thread.

    An import without an id is one that nobody can tell from others: then it is those of the whole source.
    """
    if not warehouse.exists():
        return NO_EVIDENCE
    asked = {"source": source, "imports": None if imports is None or "" in imports else sorted(imports)}
    with open_for_reading(warehouse) as connection:
        cuts = read_frame(connection, _CUT_LISTS, asked)["gap"].to_list()
        differences = read_frame(connection, _DIFFERENCES, asked)["gap"].to_list()
        unproven = read_frame(connection, _UNPROVEN, asked).row(0, named=True)
        dropped = read_frame(connection, _DROPPED, asked)["gap"].to_list()
        twins = find_twins(connection, source=source)
        shared = threads_of_ids(connection, runs_alone, source=source)
    twice = [
        f"{twin.run_id} is in {' and in '.join(twin.thread_ids)}: one {twin.noun}, counted {len(twin.thread_ids)} times"
        for twin in twins
    ]
    twice += [
        f"{run_id} is in {' and in '.join(thread_ids)}: of which its steps are that name no thread, nothing tells"
        for run_id, thread_ids in shared.items()
    ]
    return Evidence(cuts, differences, unproven, dropped, twice)


def find_shared_runs(warehouse: Path) -> Finding | None:
    """Runs that the archives have and another source, too."""
    if not warehouse.exists():
        return None
    with open_for_reading(warehouse) as connection:
        # Most warehouses have one source: to plan the check takes longer than most imports.
        [(sources,)] = connection.execute(_SOURCES).fetchall()
        return run_check(connection, "runs_in_two_sources") if sources > 1 else None
