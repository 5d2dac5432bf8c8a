"""What the list of a walk holds and proves: items of its own, the runs to go on with, its certificate; pure."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from pipeline.console.tables import count_of
from pipeline.errors import WalkError
from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.protocol.list_heads import (
    ended_at,
    foreign_parent,
    is_settled,
    order_of,
    seconds_of,
    tokens_of,
    usable_id,
)
from pipeline.protocol.lists import ListWalk
from pipeline.protocol.pages import Certificate, Verdict
from pipeline.protocol.wire import ItemHead, ListHead
from pipeline.protocol.words import shown_id


def run_tasks(thread_id: str, heads: Iterable[ListHead]) -> list[RunTask]:
    """The runs on the pages of a thread's list, without those that say that they are of another thread."""
    runs = {
        run_id: item
        for head in heads
        for item in head.data
        if (run_id := usable_id(item.id)) and not foreign_parent(item, thread_id=thread_id, run_id=None)
    }
    return [
        RunTask(
            thread_id,
            run_id,
            item.status if isinstance(item.status, str) else None,
            ended_at(item),
            tokens_of(item),
        )
        for run_id, item in runs.items()
    ]


def check_items(task: ThreadTask | RunTask, walk: ListWalk) -> None:
    """Raises WalkError for items of another list than was asked for, and for those that ids do not tell apart."""
    for number, head in enumerate(walk.heads, start=1):
        ids = Counter(item_id for item in head.data if (item_id := usable_id(item.id)))
        if doubles := len(head.data) - len(ids) - sum(usable_id(item.id) is None for item in head.data):
            shown = shown_id(ids.most_common(1)[0][0])
            raise WalkError(f"page {number} has {doubles:,} items with the id of another, such as {shown}")
    run_id = task.run_id if isinstance(task, RunTask) else None
    named = [foreign_parent(item, thread_id=task.thread_id, run_id=run_id) for item in walk.found]
    if foreign := [parent for parent in named if parent]:
        raise WalkError(
            f"{len(foreign):,} of its {walk.items:,} items say that they belong to another list, such as"
            f" {foreign[0]}: they are not kept; does a gateway drop ids from the path?"
        )
    if run_id is None and (nameless := walk.items - len(walk.ids)):
        raise WalkError(f"{nameless:,} of its {walk.items:,} runs have no id: their steps cannot be asked for")


@dataclass(frozen=True, slots=True)
class NotListed:
    """What a list lacks of the runs that are known of its thread: why it cannot be whole, or what is to be said."""

    error: str | None = None
    hints: frozenset[str] = frozenset()


def runs_not_listed(task: ThreadTask, ids: Set[str]) -> NotListed:
    """A whole list beside what is known. One that lacks some runs that it had may be true, one without any cannot."""
    known, gone = task.listed_ids | task.told_ids, task.listed_ids - ids
    lacks = f"{count_of(len(gone), 'runs')} that were listed before are not any more"
    full = "if they were deleted there, sync it once with --full"
    if task.seen_runs is not None and len(ids) < task.seen_runs:
        among = f"{count_of(task.seen_runs, 'runs')} of it stand in the list of all"
        return NotListed(f"{among}, its own list has {len(ids):,}: if some were deleted, sync again")
    if known and known.isdisjoint(ids):
        named = f"{count_of(len(known), 'runs')} that an archive or a call names (such as {shown_id(min(known))})"
        none = f"{lacks}, and no other that is known" if gone else f"of {named} none is listed"
        return NotListed(f"{none}: {full}")
    if gone:
        hint = f"{task.thread_id}: {lacks} (such as {shown_id(min(gone))}): they stay in the warehouse"
        return NotListed(hints=frozenset({hint}))
    return NotListed()


def check_subagent_turns(subagent: str, listed: Sequence[ItemHead], before: Sequence[ItemHead]) -> None:
    """Raises WalkError for turns of another than the subagent that was asked for, and for ids that two turns share.

    A session's own list may have its subagents' turns as well; they say so, and are the same there.
    """
    known = {usable_id(turn.id): turn for turn in before}
    for turn in listed:
        named, turn_id = usable_id(turn.subagent_id), usable_id(turn.id)
        if named not in (None, subagent):
            raise WalkError(
                f"turn {shown_id(str(turn_id))} says that it is of subagent {shown_id(str(named))}, not of the one that"
                " was asked for: does a gateway drop ids from the path?"
            )
        other = known.get(turn_id)
        if other is not None and not (
            usable_id(other.subagent_id) in (named, subagent) and _began_together(turn, other)
        ):
            raise WalkError(
                f"two turns have the id {shown_id(str(turn_id))}, one is of subagent {shown_id(subagent)}: within a"
                " session ids do not tell them apart, one of them cannot be had"
            )
    if listed and {usable_id(turn.id) for turn in listed} == known.keys() and not any(t.subagent_id for t in before):
        raise WalkError(
            f"subagent {shown_id(subagent)} has the very turns that the session has, and none says whose it is: does a"
            " gateway drop ids from the path?"
        )


def _began_together(turn: ItemHead, other: ItemHead) -> bool:
    return seconds_of(turn.created_at) == seconds_of(other.created_at)


def certify(
    task: ThreadTask | RunTask,
    walk: ListWalk,
    *,
    started_at: datetime,
    ended_at: datetime,
    verdict: Verdict,
    error: str | None,
) -> Certificate:
    """What is to be known of a walk that has ended: what was asked for, what came, and how it ended."""
    ids = list(walk.ids)
    run = task if isinstance(task, RunTask) else None
    return Certificate(
        resource="runs" if run is None else "steps",
        thread_id=task.thread_id,
        run_id=run.run_id if run else None,
        run_status=run.status if run else None,
        run_ended_at=run.ended_at if run else None,
        is_settled=is_settled(run.status, run.tokens, walk.found) if run and run.has_ended else None,
        item_order=order_of(walk.found),
        started_at=started_at,
        ended_at=ended_at,
        verdict=verdict,
        after_id=walk.after,
        first_index=task.first_index if isinstance(task, ThreadTask) else 0,
        pages=len(walk.pages),
        items=walk.items,
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
        ended_by=walk.ended_by if verdict == "complete" else None,
        error=error,
    )
