"""Syncs of servers of random habits beside the truth: every end is exact, or named with the thread that is not."""

import asyncio
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx

from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.pages import Protocol
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from tests.asking import asked_url
from tests.fake_clock import START, FakeClock
from tests.faults.odd_servers import OddServer, draw_server
from tests.faults.odd_successors import draw_successors
from tests.syncs import SOURCE, Rows, read_all

_ROUNDS = 3


def run_seed(seed: int) -> list[str]:
    """What is wrong with the syncs of the server of threads that follows from a seed."""
    rng = random.Random(seed)
    return _run({seed: draw_server(rng)}, rng)


def run_successors(seeds: Sequence[int], protocol: Protocol) -> list[str]:
    """What is wrong with the syncs of conversations or sessions of the servers of these seeds, all behind one address:
    what a sync costs beside its requests is paid for once.
    """
    return _run({seed: draw_successors(seed, protocol) for seed in seeds}, random.Random(seeds[0]))


def _run(servers: Mapping[int, OddServer], rng: random.Random) -> list[str]:
    """Some rounds, with changes between."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        clock = FakeClock()
        for number in range(_ROUNDS):
            full = rng.random() < 0.15
            progress = Progress()
            result = _sync(list(servers.values()), Path(name), progress, clock, full=full)
            for seed, server in servers.items():
                said = f"seed {seed}, {server.habits}: round {number}"
                problems += [f"{said}: {text}" for text in _judge(server, Path(name), result, progress)]
            # Long enough that servers and clients have the same opinion on what came first.
            clock.time_s += 3 * 3600.0
            for server in servers.values():
                server.told.clear()
                server.change(rng, (START + timedelta(seconds=clock.time_s)).timestamp())
            clock.time_s += 3 * 3600.0
    return problems


def _sync(
    servers: Sequence[OddServer], data_dir: Path, progress: Progress, time: FakeClock, *, full: bool
) -> SyncResult:
    of_threads = {thread_id: server for server in servers for thread_id in server.threads}

    def answer(request: httpx.Request) -> httpx.Response:
        url = asked_url(request)
        named = [*url.path.split("/"), *parse_qs(url.query.decode()).get("conversation_id", [])]
        return next(of_threads[part] for part in named if part in of_threads).answer(request)

    client = ApiClient(
        Endpoint("https://api.example/v1"),
        Pacer(concurrency=8, clock=time.clock()),
        clock=time.clock(),
        transport=httpx.MockTransport(answer),
    )
    extract = ExtractOptions(protocol=servers[0].protocol)
    options = SyncOptions(source=SOURCE, data_dir=data_dir, thread_ids=list(of_threads), full=full, extract=extract)

    async def run() -> SyncResult:
        async with client:
            return await run_sync(client, options, progress=progress)

    return asyncio.run(run())


def _judge(server: OddServer, data_dir: Path, result: SyncResult, progress: Progress) -> Iterator[str]:
    if result.verdict not in ("complete", "incomplete"):
        yield f"it ended as {result.verdict}: {result.error}"
    if (result.verdict == "complete") == bool(progress.failed_threads):
        yield f"{result.verdict}, with {sorted(progress.failed_threads)} failed"
    rows = defaultdict[str, Rows](list)
    for thread_id, *row in read_all(data_dir, server.sql):
        rows[thread_id].append(tuple(row))
    for thread_id in server.threads:
        if thread_id in progress.failed_threads:
            continue
        held = [row for row in rows[thread_id] if row[0] not in server.deleted]
        if held != (wanted := server.truth(thread_id)):
            extra, missing = set(held) - set(wanted), set(wanted) - set(held)
            some = f"{sorted(missing)[:2]}, too much {sorted(extra)[:2]}"
            yield f"{thread_id} is not named: {len(missing)} missing {some}"
