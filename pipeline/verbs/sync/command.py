"""The verb `sync` and what it tells a person: settings to a sync, its progress, its outcome."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.cluster.crew import Crew
from pipeline.cluster.executors import Executor, Fleets
from pipeline.console.tables import count_of
from pipeline.errors import INTERRUPTED, ConfigurationError, PipelineError, RequestError
from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.extract.plan_source import PlanSource
from pipeline.extract.protocols import list_thread_ids, list_threads
from pipeline.extract.responses import is_conversation
from pipeline.http.client import ApiClient
from pipeline.http.event_loop import run_in_loop
from pipeline.privacy.forget_record import leave_out_forgotten
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.kinds import KINDS
from pipeline.protocol.pages import Protocol
from pipeline.raw.places import raw_store
from pipeline.settings.connect import make_client
from pipeline.settings.invocation import MOVED_SOURCE, SAMPLE_SOURCE, Settings
from pipeline.threads.naming import Named, Naming
from pipeline.verbs.content_key import check_content, read_content_key, read_history
from pipeline.verbs.progress import LogFormat, Meter, Reporter
from pipeline.verbs.sync.beside import sync_with_others
from pipeline.verbs.sync.dry_run import plan_sync, print_plan
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from pipeline.verbs.sync.outcome import End, exit_code_of, report_ends, report_interruption
from pipeline.verbs.sync.sample import sample_server
from pipeline.warehouse.background import in_daemon_thread
from pipeline.warehouse.database import warehouse_path


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What the command line asked for beside the settings."""

    naming: Naming
    settle_s: float | None = 86_400.0
    wait_s: float = 0.0
    sample: bool = False
    full: bool = False
    chains: bool = False
    dry_run: bool = False
    lock_wait_s: float = 30.0
    loads: bool = True
    executor: Executor = "local"
    ray_address: str | None = None
    content_key: ContentKey | None = None
    crew: Crew | None = None
    # Started early.
    server: subprocess.Popen[bytes] | None = None


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
        with sample_server(request.server, phase=phase) as server:
            sampled = [settings.for_sample(server["base_url"], source=name) for name in (SAMPLE_SOURCE, MOVED_SOURCE)]
            naming = replace(request.naming, all_threads=True)
            return _sync(sampled, replace(request, naming=naming), reporter, as_json=as_json)
    return _sync([settings], request, reporter, as_json=as_json)


def _print_plan(settings: Settings, request: SyncRequest, *, as_json: bool) -> int:
    if request.sample:
        raise ConfigurationError("--dry-run has no plan for --sample: its server is there only while it is synced")
    now = datetime.now(UTC)
    with _open_plan(settings, request) as warehouse:
        named = request.naming.read(warehouse, source=settings.source)
        if request.naming.all_threads:
            named.add(run_in_loop(_list_threads(make_client(settings), settings.protocol)))
        selection = request.naming.select(named.ids, warehouse, source=settings.source, now=now)
        plan = plan_sync(
            selection.thread_ids,
            warehouse,
            source=settings.source,
            now=now,
            full=request.full,
            requests_per_minute=settings["requests_per_minute"],
            not_due=selection.not_due,
        )
    print_plan(plan, as_json=as_json, has_listed=request.naming.all_threads)
    return 0


def _check_naming(settings: Settings, request: SyncRequest) -> None:
    """Raises ConfigurationError for what this kind of server has not, or does not list."""
    kind, naming = KINDS[settings["kind"]], request.naming
    for option, is_given in (("--responses", bool(naming.responses)), ("--chains", request.chains)):
        if is_given and kind.protocol != "responses":
            raise ConfigurationError(
                f"{option} is for servers that have responses (kind responses or foundry-responses), not"
                f" {settings['kind']}"
            )
    conversations = [thread_id for thread_id in naming.thread_ids if is_conversation(thread_id)]
    if kind.protocol == "responses" and not kind.lists_threads and (naming.all_threads or conversations):
        raise ConfigurationError(
            "this server lists neither conversations nor the responses of one: name the responses, as in"
            " --responses FILE, which takes their ids out of any log"
        )


def _plan_source(settings: Settings, request: SyncRequest) -> PlanSource | None:
    """Where plans come from if nothing is loaded; None: from the warehouse, once everything is in it."""
    if request.loads:
        return None
    folder, shard = settings.data_dir, request.naming.shard
    return PlanSource(raw_store(folder), warehouse_path(folder), settings.source, shard)


def _open_plan(settings: Settings, request: SyncRequest) -> AbstractContextManager[Path]:
    """The warehouse file that tells what is known of threads; it need not be there."""
    source = _plan_source(settings, request)
    return nullcontext(warehouse_path(settings.data_dir)) if source is None else source.open()


async def _list_threads(client: ApiClient, protocol: Protocol) -> list[str]:
    async with client:
        return list(await list_thread_ids(client, protocol))


def _sync(sources: Sequence[Settings], request: SyncRequest, reporter: Reporter, *, as_json: bool) -> int:
    """Sync one source after the other, then say how all of them went; the worst of their exit codes."""
    ends = []
    for settings in sources:
        meter, result = _sync_source(settings, request, reporter)
        if result is None or result.verdict == "interrupted":
            report_interruption(reporter, meter, as_json=as_json)
            return INTERRUPTED
        ends.append(End(settings, meter, result))
    report_ends(reporter, ends, as_json=as_json, loads=request.loads)
    return max(exit_code_of(end.result) for end in ends)


def _sync_source(settings: Settings, request: SyncRequest, reporter: Reporter) -> tuple[Meter, SyncResult | None]:
    """What came of one source; None: it was interrupted."""
    client = make_client(settings)
    _check_naming(settings, request)
    with _open_plan(settings, request) as warehouse:
        follows = settings.follows_agents or request.chains
        named = request.naming.read(warehouse, source=settings.source, keeps_others=follows)
        request = replace(request, content_key=read_content_key(settings))
        history = read_history(warehouse, settings.source)
    for notice in check_content(history, settings, settings.source, request.content_key):
        reporter.say(notice, level="warning")
    meter = Meter(Progress(), client.traffic)
    try:
        with reporter.watching(meter):
            return meter, run_in_loop(_run(client, settings, request, named, meter.progress))
    except asyncio.CancelledError:
        return meter, None


async def _run(
    client: ApiClient, settings: Settings, request: SyncRequest, named: Named, progress: Progress
) -> SyncResult:
    _cancel_on_signals()
    seen: Mapping[str, int] = {}
    async with client:
        if request.naming.all_threads:
            seen = await list_threads(client, settings.protocol)
            named.add(seen)
        with _open_plan(settings, request) as warehouse:
            selection = request.naming.select(named.ids, warehouse, source=settings.source, now=client.clock.now())
        progress.threads_not_due = selection.not_due
        options = replace(_sync_options(settings, request, selection.thread_ids), seen=seen)

        async def sync_round(ids: Sequence[str], progress: Progress) -> SyncResult:
            kept: list[str] = []
            # It may have to wait.
            await in_daemon_thread(lambda: kept.extend(_leave_out(settings, request, ids, progress)))
            of_round = replace(options, thread_ids=kept)
            return await run_sync(client, of_round, progress=progress, choose_fleet=fleets.choose)

        fleets = Fleets(
            settings,
            options.raw_folder,
            options.extract,
            request.full,
            request.executor,
            request.ray_address,
            request.crew,
        )
        async with contextlib.aclosing(fleets):
            if not (settings.follows_agents or request.chains):
                return await sync_round(selection.thread_ids, progress)
            return await sync_with_others(
                sync_round,
                selection.thread_ids,
                lambda: _open_plan(settings, request),
                source=options.source,
                full=options.full,
                progress=progress,
                beside="chains" if request.chains else "agents",
                others=named.others or (),
            )


def _sync_options(settings: Settings, request: SyncRequest, thread_ids: Sequence[str]) -> SyncOptions:
    """What the settings and the command line come to for these threads."""
    return SyncOptions(
        source=settings.source,
        data_dir=settings.data_dir,
        thread_ids=thread_ids,
        full=request.full,
        lock_wait_s=request.lock_wait_s,
        # The sample plays servers of the protocols' own provider.
        kind={SAMPLE_SOURCE: "openai", MOVED_SOURCE: "responses"}.get(settings.source, settings["kind"]),
        project=settings["project"],
        models=settings["models"],
        provider=settings["provider"],
        sku=settings["sku"],
        odd_fields=settings["odd_fields"],
        extract=ExtractOptions(
            protocol=settings.protocol,
            concurrency=settings["concurrency"],
            include_content=settings["include_content"],
            content_key=request.content_key,
            settle_s=request.settle_s,
            wait_s=request.wait_s,
        ),
        plan=_plan_source(settings, request),
    )


def _leave_out(settings: Settings, request: SyncRequest, ids: Sequence[str], progress: Progress) -> Sequence[str]:
    """Those of the threads that were not forgotten, unless a person names them again."""
    kept = leave_out_forgotten(
        settings.data_dir, settings.source, ids, request.naming.thread_ids, wait_s=request.lock_wait_s
    )
    if len(kept) < len(ids):
        left_out = count_of(len(ids) - len(kept), "threads")
        progress.hints.add(f"left out: {left_out} that `forget` removed; name them as THREAD_ID to have them again")
    return kept


def _cancel_on_signals() -> None:
    """Ctrl-C and a polite kill both end the sync where it stands, once it has landed what it holds."""
    task = asyncio.current_task()
    if task is None:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        # Event loops on Windows take no handlers; there Ctrl-C cancels through asyncio.Runner.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
