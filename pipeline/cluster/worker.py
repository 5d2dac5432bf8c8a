"""A process of a crew: it gets its share from its parent, walks it and reports. It ends when the parent is gone."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from pipeline.extract.share import Job, Report, Share
from pipeline.flatten.garbage_collector import tune_garbage_collector
from pipeline.http.event_loop import run_in_loop
from pipeline.http.pacing import Moment
from pipeline.settings.connect import make_client

_REPORT_EVERY_S = 0.2


def work(link: Connection, paused_until: Moment) -> None:
    """A worker's whole life: `link` brings its job and among how many the pace is shared."""
    tune_garbage_collector()
    try:
        job, sharers = link.recv()
    except (EOFError, OSError):
        # There is nothing to do, or nobody who wants it done.
        os._exit(0)
    run_in_loop(_extract(job, link, paused_until, sharers))
    link.close()
    # As at the end of the command line: not through the interpreter's own end.
    os._exit(0)


async def _extract(job: Job, link: Connection, paused_until: Moment, sharers: int) -> None:
    share = Share(job, make_client(job.settings, share=sharers, paused_until=paused_until))
    _obey(link)
    reporting = asyncio.create_task(_report(link, share.report))
    last = await share.run()
    reporting.cancel()
    # A parent that was told to end does not wait for long; what has landed is loaded by the next sync.
    with contextlib.suppress(OSError):
        link.send(last)


async def _report(link: Connection, report: Callable[[], Report]) -> None:
    while True:
        await asyncio.sleep(_REPORT_EVERY_S)
        link.send(report())


def _obey(link: Connection) -> None:
    """Cancel this task when the parent says stop; die when it is gone, so that nothing goes on unseen."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def listen() -> None:
        try:
            link.recv()
        except (EOFError, OSError):
            os._exit(1)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=listen, name="parent", daemon=True).start()
