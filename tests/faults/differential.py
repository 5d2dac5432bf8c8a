"""Syncs of servers of random habits beside the truth: every end is exact, or named with the thread that is not."""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from pipeline.extract.fetching import Progress
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from tests.fake_clock import FakeClock
from tests.faults.odd_servers import OddServer, add_step, draw_server, end_run, make_run
from tests.syncs import SOURCE, Rows, read_all

_ROUNDS = 3
_STEPS = """
select runs.run_id, runs.status, runs.total_tokens, run_steps.step_id, run_steps.step_index,
    run_steps.total_tokens as step_tokens
from runs
left join run_steps on run_steps.source = runs.source and run_steps.run_id = runs.run_id
where runs.thread_id = ?
order by runs.run_id, run_steps.step_index
"""


def run_seed(seed: int) -> list[str]:
    """What is wrong with the syncs of the server that follows from a seed: some rounds, with changes between."""
    rng = random.Random(seed)
    server = draw_server(rng)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        clock = FakeClock()
        for number in range(_ROUNDS):
            full = rng.random() < 0.15
            progress = Progress()
            result = _sync(server, Path(name), progress, clock, full=full)
            problems += [f"round {number}: {text}" for text in _judge(server, Path(name), result, progress)]
            _change(rng, server)
            clock.time_s += 3600.0
    return [f"seed {seed}, {server.habits}: {problem}" for problem in problems]


def _sync(server: OddServer, data_dir: Path, progress: Progress, time: FakeClock, *, full: bool) -> SyncResult:
    client = ApiClient(
        Endpoint("https://api.example/v1"),
        Pacer(concurrency=8, clock=time.clock()),
        clock=time.clock(),
        transport=httpx.MockTransport(server.answer),
    )
    options = SyncOptions(source=SOURCE, data_dir=data_dir, thread_ids=list(server.threads), full=full)

    async def run() -> SyncResult:
        async with client:
            return await run_sync(client, options, progress=progress)

    return asyncio.run(run())


def _judge(server: OddServer, data_dir: Path, result: SyncResult, progress: Progress) -> Iterator[str]:
    if result.verdict not in ("complete", "incomplete"):
        yield f"it ended as {result.verdict}: {result.error}"
    if (result.verdict == "complete") == bool(progress.failed_threads):
        yield f"{result.verdict}, with {sorted(progress.failed_threads)} failed"
    for thread_id in server.threads:
        if thread_id in progress.failed_threads:
            continue
        held = [row for row in read_all(data_dir, _STEPS, [thread_id]) if row[0] not in server.deleted]
        if held != (wanted := _truth(server, thread_id)):
            extra, missing = set(held) - set(wanted), set(wanted) - set(held)
            some = f"{sorted(missing)[:2]}, too much {sorted(extra)[:2]}"
            yield f"{thread_id} is not named: {len(missing)} missing {some}"


def _truth(server: OddServer, thread_id: str) -> Rows:
    rows = [
        (run["id"], run["status"], run["usage"]["total_tokens"], step["id"], place, step["usage"]["total_tokens"])
        for run in server.threads[thread_id]
        for place, step in enumerate(run["steps"])
    ]
    return sorted(rows, key=lambda row: (row[0], row[4]))


def _change(rng: random.Random, server: OddServer) -> None:
    """What happens on the server until the next sync: runs come, go, and go on."""
    for thread_id, runs in server.threads.items():
        match rng.choice(("nothing", "new", "new", "gone and new", "on")):
            case "new":
                _add(rng, server, thread_id)
            case "gone and new" if len(runs) > 1:
                server.deleted.add(runs.pop()["id"])
                _add(rng, server, thread_id)
            case "on" if runs:
                add_step(rng, runs[-1])
                end_run(runs[-1])


def _add(rng: random.Random, server: OddServer, thread_id: str) -> None:
    """A new run, whose id nobody ever had."""
    names = {str(run["id"]) for run in server.threads[thread_id]} | server.deleted
    taken = [int(name.rpartition("_")[2]) for name in names if name.startswith(f"{thread_id}.")]
    server.threads[thread_id].append(make_run(rng, thread_id, max(taken, default=-1) + 1, busy=False))
