"""What stands beside the threads of a sync: where connected agents worked, what a chain goes on from; until no more."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import polars as pl

from pipeline.extract.fetching import Progress
from pipeline.sqlfiles.duck import read_frame, register
from pipeline.verbs.sync.flow import SyncResult
from pipeline.verbs.sync.kept import Kept
from pipeline.warehouse.database import open_for_reading

# Grain: one child thread of the named ones that may hold something new: never visited, left unfinished, with a run that
# is still open, or with one that a call names and that is not here. A thread that is gone (404) is not asked for again.
_CHILDREN = """
with calls as (
    select distinct child_thread_id as thread_id, child_run_id as run_id
    from tool_calls
    where source = $source and child_thread_id is not null
        and thread_id in (select thread_id from visited_threads)
        and child_thread_id not in (select thread_id from visited_threads)
        and cast('0x' || sha256(child_thread_id)[:16] as ubigint) not in (select thread_hash from others_threads)
)
select distinct calls.thread_id
from calls
left join threads on threads.source = $source and threads.thread_id = calls.thread_id
left join runs on runs.source = $source and runs.thread_id = calls.thread_id and runs.run_id = calls.run_id
where $full or threads.status is null or threads.status not in ('synced', 'missing')
    or (threads.status = 'synced' and calls.run_id is not null and runs.run_id is null)
    or calls.thread_id in (select thread_id from runs where source = $source and not sealed)
order by calls.thread_id
"""

# Grain: one response that these go on from, at once or through others that are here, and that is not here itself. One
# that is gone (404) is not asked for again.
_PREVIOUS = """
with recursive chain as (
    select run_id, previous_run_id from runs
    where source = $source and protocol = 'responses'
        and (
            run_id in (select thread_id from visited_threads)
            or thread_id in (select thread_id from visited_threads)
        )
    union
    select runs.run_id, runs.previous_run_id
    from chain
    join runs on runs.source = $source and runs.protocol = 'responses' and runs.run_id = chain.previous_run_id
)
select distinct chain.previous_run_id as thread_id
from chain
left join threads on threads.source = $source and threads.thread_id = chain.previous_run_id
where chain.previous_run_id is not null
    and chain.previous_run_id not in (select thread_id from visited_threads)
    and cast('0x' || sha256(chain.previous_run_id)[:16] as ubigint) not in (select thread_hash from others_threads)
    and chain.previous_run_id not in (select run_id from runs where source = $source)
    and ($full or threads.status is null or threads.status <> 'missing')
order by thread_id
"""

# What a round of a sync shows to be there beside what was named: the work of connected agents, the start of a chain.
Beside = Literal["agents", "chains"]
_BESIDE: dict[Beside, str] = {"agents": _CHILDREN, "chains": _PREVIOUS}
# A server that makes up what each response goes on from would be asked for ever; a longer chain goes on next time.
_MOST_ROUNDS = 1000
SyncRound = Callable[[Sequence[str], Progress], Awaitable[SyncResult]]


async def sync_with_others(
    sync_round: SyncRound,
    thread_ids: Sequence[str],
    plan_from: Callable[[], AbstractContextManager[Path]],
    *,
    source: str,
    full: bool,
    progress: Progress,
    beside: Beside = "agents",
    others: Sequence[int] = (),
) -> SyncResult:
    """Sync threads, then those that stand beside them (that their connected agents worked on), and so on; each once.

    `plan_from` opens the warehouse file that tells of them; `others` are hashes of threads that other shards visit.
    `progress` holds the sums in the end. The result is that of the worst round, from the first start to the last end.
    """
    result = await sync_round(thread_ids, progress)
    rounds, visited = [progress], list(thread_ids)
    while result.verdict in ("complete", "incomplete"):
        with plan_from() as warehouse:
            children = read_child_threads(warehouse, visited, source=source, full=full, others=others, beside=beside)
        if not children:
            break
        if len(rounds) > _MOST_ROUNDS:
            progress.failures.append(f"{children[0]}: not asked for yet, it is {_MOST_ROUNDS:,} steps from the start")
            progress.failed_threads.update(children)
            result = replace(result, verdict="incomplete")
            break
        rounds.append(Progress(is_named=False))
        result = _joined(result, await sync_round(children, rounds[-1]))
        visited += children
    if len(rounds) > 1:
        total = sum(part.threads_total or 0 for part in rounds)
        progress.add([replace(progress), *rounds[1:]])
        progress.threads_total = total
    return result


def read_child_threads(
    warehouse: Path,
    thread_ids: Sequence[str],
    *,
    source: str,
    full: bool,
    others: Sequence[int] = (),
    beside: Beside = "agents",
) -> list[str]:
    """Threads that stand beside these, as calls that name another agent's, and that may hold something new.

    Not among them are these threads themselves and `others`, by their hashes.
    """
    with open_for_reading(warehouse) as connection:
        register(
            connection, "visited_threads", pl.DataFrame({"thread_id": thread_ids}, schema={"thread_id": pl.String})
        )
        register(connection, "others_threads", pl.DataFrame({"thread_hash": others}, schema={"thread_hash": pl.UInt64}))
        found = read_frame(connection, _BESIDE[beside], {"source": source, "full": full})
    return found["thread_id"].to_list()


def _joined(first: SyncResult, then: SyncResult) -> SyncResult:
    verdict = first.verdict if then.verdict == "complete" else then.verdict
    seconds = first.seconds + then.seconds
    return replace(
        first,
        verdict=verdict,
        finished_at=then.finished_at,
        seconds=seconds,
        error=then.error,
        lost=[*first.lost, *then.lost],
        kept=_both(first.kept, then.kept),
    )


def _both(first: Kept | None, then: Kept | None) -> Kept | None:
    if first is None or then is None:
        return None
    return Kept(
        first.runs + then.runs,
        first.steps + then.steps,
        first.calls + then.calls,
        unsettled=[*first.unsettled, *then.unsettled],
        sealed_unsettled=[*first.sealed_unsettled, *then.sealed_unsettled],
    )
