"""Whole syncs for tests: in this process or as the command line, and what they leave in a data folder."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.emulator import RunningEmulator
from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.extract.protocols import list_threads
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Clock, Pacer
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.pages import Protocol
from pipeline.raw.columns import PART_SCHEMA
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import read_frame
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from pipeline.warehouse.database import warehouse_path
from tests.attached import looking_into
from tests.forked import bare_environ, shared_python

ROOT = Path(__file__).parents[1]
SOURCE = "default"
# What does not come until then never comes, on however busy a machine.
PATIENCE_S = 300.0
Rows = list[tuple[Any, ...]]


def sync_here(
    server: RunningEmulator,
    data_dir: Path,
    *,
    full: bool = False,
    thread_ids: Sequence[str] | None = None,
    content_key: ContentKey | None = None,
    progress: Progress | None = None,
    protocol: Protocol = "assistants",
    source: str = SOURCE,
    clock: Clock | None = None,
) -> SyncResult:
    """Sync threads of the emulator, all of them if none are named, in this process.

    Of the other protocols all that it lists: conversations and responses, sessions.
    """
    headers = {"Authorization": f"Bearer {server.api_key}", "OpenAI-Beta": "agents=v1"}
    clock = clock or Clock()
    pacer = Pacer(concurrency=16, clock=clock)
    client = ApiClient(Endpoint(base_url=server.base_url, headers=headers), pacer, clock=clock)
    extract = ExtractOptions(concurrency=16, content_key=content_key, protocol=protocol)

    async def run() -> SyncResult:
        async with client:
            seen = {} if thread_ids or protocol == "assistants" else await list_threads(client, protocol)
            ids = thread_ids or list(seen) or server.corpus.thread_ids()
            options = SyncOptions(
                source=source, data_dir=data_dir, thread_ids=ids, full=full, seen=seen, extract=extract
            )
            return await run_sync(client, options, progress=progress or Progress())

    return asyncio.run(run())


def environ_for(server: RunningEmulator | None = None, **more: str) -> dict[str, str]:
    """A bare environment, with the emulator's address and key."""
    served = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": server.api_key} if server else {}
    return {**bare_environ(), **served, **more}


def run_cli(
    folder: Path, *arguments: str, environ: dict[str, str] | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """`python -m pipeline ARGUMENTS` in that folder, ended; `given` is its standard input."""
    environ = environ_for() if environ is None else environ
    python = shared_python()
    if python.stands_for(environ):
        return python.run(arguments, folder=folder, environ=environ, given=given, timeout_s=PATIENCE_S)
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        env=environ,
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextmanager
def started_cli(folder: Path, *arguments: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`python -m pipeline ARGUMENTS` in that folder, running; killed at the end of the block if it still is."""
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def wait_until(condition: Callable[[], bool], *, what: str, of: subprocess.Popen[str] | None = None) -> None:
    """Return once the condition holds; AssertionError if it never does, at once if the process ends before."""
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        if of is not None and of.poll() is not None:
            raise AssertionError(f"the process ended ({of.returncode}) before {what}: {of.communicate()[1]}")
        pause.wait(0.005)


def hold_back(server: RunningEmulator, *, after_requests: int, route: str = "list_steps") -> None:
    """Let that many requests pass; those that follow are asked to come again, until the faults are cleared."""
    fault = {"fault": "status", "status": 503, "headers": {"retry-after-ms": "20"}}
    server.set_faults([{"route": route, "after_requests": after_requests, **fault}])


def read_all(data_dir: Path, sql: str, parameters: object = None) -> Rows:
    """Rows of a query on the warehouse of a data folder."""
    with looking_into(warehouse_path(data_dir)) as connection:
        return connection.execute(sql, parameters).fetchall()


def read_tables(
    data_dir: Path, *, without: Mapping[str, Sequence[str]] | None = None, named: Sequence[str] | None = None
) -> dict[str, pl.DataFrame]:
    """Whole tables, sorted by all columns; `without` leaves columns out by table."""
    without = without or {}
    frames = {}
    with looking_into(warehouse_path(data_dir)) as connection:
        for table, sql in read_sql_files("tables").items():
            if named is None or table in named:
                columns = [name for name in sql.columns if name not in without.get(table, ())]
                frame = read_frame(connection, f"select {', '.join(columns)} from {table}")
                frames[table] = frame.sort(columns, nulls_last=True)
    return frames


def raw_files(data_dir: Path) -> list[Path]:
    """The raw parts of a data folder, oldest first."""
    return sorted((data_dir / "raw").glob("*/*.parquet"))


def read_raw(data_dir: Path) -> pl.DataFrame:
    """All rows of all raw parts."""
    return pl.concat([pl.DataFrame(schema=PART_SCHEMA), *(pl.read_parquet(path) for path in raw_files(data_dir))])
