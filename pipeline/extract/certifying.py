"""What the list of a walk holds and proves: items of its own, the runs to go on with, its certificate; pure."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from pipeline.errors import WalkError
from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.protocol.cursors import ListWalk
from pipeline.protocol.list_heads import ended_at, foreign_parent, is_settled, order_of, tokens_of, usable_id
from pipeline.protocol.pages import Certificate, Verdict
from pipeline.protocol.wire import ListHead
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
