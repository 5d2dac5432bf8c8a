"""Runs that two threads of a source have and only one can.

Ids of responses are nobody else's. Those of runs and turns may be numbered in their thread: such a run is doubted where
it does not say of which thread it is, and is there under another with the same instants, usage and metadata.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.sqlfiles.duck import Connection, read_frame

# Grain: one run, with all threads of the source that have it.
_TWINS = """
with asked as (
    select thread_id, run_id from runs
    where source = $source and ($sync_id is null or walk_id in (select walk_id from walks where sync_id = $sync_id))
)
select runs.run_id, any_value(runs.protocol) as protocol,
    list_sort(list_distinct(list(runs.thread_id) || list(others.thread_id))) as thread_ids
from runs
inner join asked on asked.thread_id = runs.thread_id and asked.run_id = runs.run_id
inner join runs as others
    on others.source = $source and others.run_id = runs.run_id and others.thread_id <> runs.thread_id
    and others.protocol = runs.protocol
where runs.source = $source and (
    runs.protocol = 'responses' or (
        (list_contains($nameless, runs.thread_id) or list_contains($nameless, others.thread_id))
        and runs.created_at = others.created_at
        and (runs.started_at, runs.completed_at, runs.status, runs.model, runs.total_tokens, runs.metadata)
            is not distinct from
            (others.started_at, others.completed_at, others.status, others.model, others.total_tokens, others.metadata)
    )
)
group by runs.run_id, runs.created_at
order by runs.run_id
"""
# Grain: one of these ids of runs that several threads have.
_SHARED_IDS = """
select run_id, list(thread_id order by thread_id) as thread_ids
from runs where source = $source and run_id in (select unnest($run_ids))
group by run_id having count(*) > 1
order by run_id
"""
_NOUNS = {"responses": "response", "agents": "turn"}


@dataclass(frozen=True, slots=True)
class TwinRun:
    """One run that several threads have."""

    run_id: str
    noun: str
    thread_ids: tuple[str, ...]


def find_twins(
    connection: Connection, *, source: str, sync_id: str | None = None, nameless: Collection[str] = ()
) -> list[TwinRun]:
    """Runs of a source that stand in two threads and are one; of a sync those that it has seen.

    Runs of `nameless` threads do not say whose they are.
    """
    asked = {"source": source, "sync_id": sync_id, "nameless": sorted(nameless)}
    rows = read_frame(connection, _TWINS, asked).rows()
    return [TwinRun(run_id, _NOUNS.get(protocol, "run"), tuple(threads)) for run_id, protocol, threads in rows]


def threads_of_ids(connection: Connection, run_ids: Sequence[str], *, source: str) -> dict[str, list[str]]:
    """The threads of each of these ids of runs that more than one thread of the source has."""
    if not run_ids:
        return {}
    rows = read_frame(connection, _SHARED_IDS, {"source": source, "run_ids": list(run_ids)}).rows()
    return dict(rows)
