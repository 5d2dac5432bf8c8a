"""What is left of a share that a dead process has begun; what it landed is not fetched again. Pure."""

from collections.abc import Iterable, Sequence

from pipeline.extract.certifying import run_tasks
from pipeline.extract.fetching import Progress
from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.protocol.list_heads import decode_list
from pipeline.protocol.pages import LandedWalk

# Thread and run.
_RunKey = tuple[str, str]


def go_on(tasks: Iterable[ThreadTask], landed: Sequence[LandedWalk]) -> tuple[list[ThreadTask], Progress]:
    """What is left of the tasks after these walks of the same share, and the counts of what the walks brought."""
    progress = Progress()
    runs: dict[str, list[RunTask]] = {}
    walked: set[_RunKey] = set()
    visited: set[str] = set()
    for walk in landed:
        certificate = walk.certificate
        progress.count(certificate)
        if certificate.protocol != "assistants":
            # A visit is one walk: what has landed of it is all of it.
            visited.add(certificate.asked_id or certificate.thread_id)
        elif certificate.resource == "runs":
            # Half of a list, too, is followed to the steps of its runs.
            runs[certificate.thread_id] = run_tasks(
                certificate.thread_id, (decode_list(page.body) for page in walk.pages)
            )
        elif certificate.run_id is not None:
            walked.add((certificate.thread_id, certificate.run_id))
    left = [ThreadTask(task.thread_id, pending=()) if task.thread_id in visited else task for task in tasks]
    return [_rest(task, runs.get(task.thread_id), walked, progress) for task in left], progress


def _rest(task: ThreadTask, listed: list[RunTask] | None, walked: set[_RunKey], progress: Progress) -> ThreadTask:
    if listed is not None:
        left = [run for run in listed if not task.is_sealed(run)]
        progress.runs += len(listed)
        progress.runs_sealed += len(listed) - len(left)
    elif task.pending is not None:
        left = list(task.pending)
    else:
        return task
    pending = tuple(run for run in left if (run.thread_id, run.run_id) not in walked)
    return ThreadTask(task.thread_id, sealed_ids=task.sealed_ids, pending=pending)
