"""The verb `sync` and what it tells a person: settings to a sync, its progress, its outcome."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from pipeline.agents import sync_with_agents
from pipeline.client import ApiClient
from pipeline.config import SAMPLE_SOURCE, Settings
from pipeline.connect import make_client
from pipeline.dry_run import plan_sync, print_plan
from pipeline.errors import ConfigurationError, IncompleteError, PipelineError, RequestError
from pipeline.extract import ExtractOptions, Progress, list_thread_ids
from pipeline.fleet import Fleet, count_workers
from pipeline.kinds import KINDS, hint_for_all
from pipeline.naming import Naming
from pipeline.overview import next_commands, read_row_counts, read_status, read_top_tools
from pipeline.present import count_of, frame_table, join_counts, stdout_console
from pipeline.progress import LogFormat, Meter, Reporter
from pipeline.sample import sample_server
from pipeline.sync import SyncOptions, SyncResult, raw_store, run_sync, warehouse_path

INTERRUPTED = 130
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What the command line asked for beside the settings."""

    naming: Naming
    sample: bool = False
    full: bool = False
    dry_run: bool = False
    lock_wait_s: float = 30.0


def sync_threads(settings: Settings, request: SyncRequest, *, quiet: bool, as_json: bool, log_format: LogFormat) -> int:
    """Run a sync, say how it went, and return the exit code."""
    reporter = Reporter(sys.stderr, quiet=quiet, log_format=log_format)
    try:
        return _sync_or_plan(settings, request, reporter, as_json=as_json)
    except PipelineError as error:
        if log_format != "json":
            raise
        hint = f" ({error.hint})" if isinstance(error, RequestError) and error.hint else ""
        reporter.say(f"{error}{hint}", level="error")
        return error.exit_code


def _sync_or_plan(settings: Settings, request: SyncRequest, reporter: Reporter, *, as_json: bool) -> int:
    if request.dry_run:
        return _print_plan(settings, request, as_json=as_json)
    if request.sample:
        store = raw_store(settings.data_dir)
        phase = int(any(part.source == SAMPLE_SOURCE for part in store.list_parts()))
        with sample_server(phase=phase) as server:
            sampled = settings.for_sample(server["base_url"])
            naming = replace(request.naming, all_threads=True)
            return _sync(sampled, replace(request, naming=naming), reporter, as_json=as_json)
    return _sync(settings, request, reporter, as_json=as_json)


def _print_plan(settings: Settings, request: SyncRequest, *, as_json: bool) -> int:
    if request.sample:
        raise ConfigurationError("--dry-run has no plan for --sample: its server is there only while it is synced")
    warehouse = warehouse_path(settings.data_dir)
    named = request.naming.read(warehouse, source=settings.source)
    if request.naming.all_threads:
        named = list(dict.fromkeys([*named, *asyncio.run(_list_threads(make_client(settings)))]))
    plan = plan_sync(
        request.naming.select(named, warehouse, source=settings.source),
        warehouse,
        source=settings.source,
        now=datetime.now(UTC),
        full=request.full,
        requests_per_minute=settings["requests_per_minute"],
    )
    print_plan(plan, as_json=as_json, has_listed=request.naming.all_threads)
    return 0


async def _list_threads(client: ApiClient) -> list[str]:
    async with client:
        return list(await list_thread_ids(client))


def _sync(settings: Settings, request: SyncRequest, reporter: Reporter, *, as_json: bool) -> int:
    client = make_client(settings)
    thread_ids = request.naming.read(warehouse_path(settings.data_dir), source=settings.source)
    meter = Meter(Progress(), client.traffic)
    try:
        with reporter.watching(meter):
            result = asyncio.run(_run(client, settings, request, thread_ids, meter.progress))
    except asyncio.CancelledError:
        result = None
    if result is None or result.verdict == "interrupted":
        reporter.say("interrupted: what has landed is kept; run the same command again to go on", level="warning")
        if as_json:
            print(json.dumps({"verdict": "interrupted", "exit_code": INTERRUPTED, **_counts(meter)}))
        return INTERRUPTED
    _report(reporter, settings, meter, result, as_json=as_json)
    return _exit_code(result)


async def _run(
    client: ApiClient, settings: Settings, request: SyncRequest, thread_ids: list[str], progress: Progress
) -> SyncResult:
    _cancel_on_signals()
    async with client:
        if request.naming.all_threads:
            thread_ids = list(dict.fromkeys([*thread_ids, *await list_thread_ids(client)]))
        thread_ids = request.naming.select(thread_ids, warehouse_path(settings.data_dir), source=settings.source)
        options = SyncOptions(
            source=settings.source,
            data_dir=settings.data_dir,
            thread_ids=thread_ids,
            full=request.full,
            lock_wait_s=request.lock_wait_s,
            # The sample plays a server of the protocol's own provider.
            kind="openai" if settings.source == SAMPLE_SOURCE else settings["kind"],
            project=settings["project"],
            models=settings["models"],
            extract=ExtractOptions(concurrency=settings["concurrency"], include_content=settings["include_content"]),
        )

        async def sync_round(ids: Sequence[str], progress: Progress) -> SyncResult:
            workers = count_workers(settings["workers"], threads=len(ids))
            fleet = Fleet(settings, options.raw_folder, workers, options.extract, request.full) if workers else None
            return await run_sync(client, replace(options, thread_ids=ids), progress=progress, fleet=fleet)

        if not settings.follows_agents:
            return await sync_round(thread_ids, progress)
        return await sync_with_agents(
            sync_round, thread_ids, options.warehouse, source=options.source, full=options.full, progress=progress
        )


def _cancel_on_signals() -> None:
    """Ctrl-C and a polite kill both end the sync where it stands, once it has landed what it holds."""
    task = asyncio.current_task()
    if task is None:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        # Event loops on Windows take no handlers; there Ctrl-C cancels through asyncio.run.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _exit_code(result: SyncResult) -> int:
    if result.error is not None:
        return result.error.exit_code
    if result.verdict == "incomplete":
        return IncompleteError.exit_code
    return 0


def _report(reporter: Reporter, settings: Settings, meter: Meter, result: SyncResult, *, as_json: bool) -> None:
    progress, warehouse = meter.progress, warehouse_path(settings.data_dir)
    if result.damage is not None:
        reporter.say(str(result.damage), level="warning")
    _report_faults(reporter, progress, result)
    for hint in _hints(settings, progress):
        reporter.say(hint, level="warning")
    seconds = (result.finished_at - result.started_at).total_seconds()
    if as_json:
        summary = _summary(meter, result, warehouse, exit_code=_exit_code(result))
        print(json.dumps({**summary, "hints": _hints(settings, progress)}))
        return
    counts = join_counts(
        [
            ("threads", progress.threads_done),
            ("runs listed", progress.runs),
            ("steps", progress.steps),
            ("requests", meter.traffic.requests),
            ("retries", meter.traffic.retries),
        ]
    )
    reporter.say(f"sync {result.verdict}: {counts} in {seconds:.1f} s")
    if not reporter.quiet and result.error is None:
        print_outcome(warehouse, source=settings.source)


def _hints(settings: Settings, progress: Progress) -> list[str]:
    """What the server's answers usually mean."""
    everything = hint_for_all(KINDS[settings["kind"]].hints, _NOT_FOUND) if progress.found_nothing else None
    # Where one answer is explained there is no need to guess at all of them.
    return sorted(progress.hints) or ([everything] if everything else [])


def _report_faults(reporter: Reporter, progress: Progress, result: SyncResult) -> None:
    for failure in progress.failures:
        reporter.say(failure, level="warning")
    if progress.threads_missing:
        reporter.say(
            f"{progress.threads_missing:,} of {progress.threads_total:,} threads do not exist on the server (404):"
            " they were deleted, or the base URL is not that of the API",
            level="warning",
        )
    if progress.failed_threads:
        reporter.say(
            f"incomplete: {count_of(len(progress.failed_threads), 'threads')}; run the same command again, and see:"
            " python -m pipeline query coverage",
            level="warning",
        )
    if result.error is not None:
        reporter.say(f"{result.error}. What had landed is kept.", level="error")


def _summary(meter: Meter, result: SyncResult, warehouse: Path, *, exit_code: int) -> dict[str, object]:
    return {
        "sync_id": result.sync_id,
        "verdict": result.verdict,
        "exit_code": exit_code,
        **_counts(meter),
        "seconds": (result.finished_at - result.started_at).total_seconds(),
        "warehouse": str(warehouse),
        "failures": meter.progress.failures,
        "error": None if result.error is None else str(result.error),
    }


def _counts(meter: Meter) -> dict[str, int]:
    progress = meter.progress
    return {
        "threads": progress.threads_done,
        "threads_missing": progress.threads_missing,
        "threads_failed": len(progress.failed_threads),
        "runs_listed": progress.runs,
        "runs_sealed": progress.runs_sealed,
        "steps": progress.steps,
        "requests": meter.traffic.requests,
        "retries": meter.traffic.retries,
    }


def print_outcome(warehouse: Path, *, source: str) -> None:
    """What came out of a sync: tables, tools, and what to type next, on stdout."""
    console = stdout_console()
    console.print()
    console.print(frame_table(read_row_counts(warehouse), title="Tables"))
    console.print()
    console.print(frame_table(read_top_tools(warehouse, source=source), title="Tools called most"))
    console.print(f"\n[bold]DuckDB file[/bold]  {warehouse}\n\n[bold]Next[/bold]")
    for command in next_commands():
        console.print(f"  {command}", markup=False, soft_wrap=True)


def print_status(data_dir: Path, *, as_json: bool) -> None:
    """The state of a data folder on stdout."""
    status = read_status(raw_store(data_dir), warehouse_path(data_dir))
    if as_json:
        print(json.dumps(status.as_dict()))
        return
    console = stdout_console()
    if status.size_bytes is None:
        console.print(f"no warehouse at {status.warehouse} yet: python -m pipeline sync --sample makes one")
    else:
        console.print(f"[bold]Warehouse[/bold]  {status.warehouse} ({status.size_bytes / 2**20:,.1f} MiB)")
    console.print(f"[bold]Raw parts[/bold]  {status.raw_parts:,}, of which {status.waiting_parts:,} wait to be loaded")
    if status.waiting_parts:
        console.print("           load them with: python -m pipeline load")
    if status.sources.height:
        console.print()
        console.print(frame_table(status.sources, title="Sources"))


def print_config(settings: Settings, *, as_json: bool) -> None:
    """Settings in force with their origin, secrets masked, on stdout."""
    rows = settings.describe()
    if as_json:
        print(json.dumps({name: {"value": value, "origin": origin} for name, value, origin in rows}))
        return
    frame = pl.DataFrame(rows, schema=["setting", "value", "from"], orient="row")
    stdout_console().print(frame_table(frame))
