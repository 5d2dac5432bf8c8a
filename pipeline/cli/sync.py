"""The command line of `sync` and `import`: options only; the verbs are in `verbs.sync` and `verbs.archive_import`."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    AllowHttp,
    BaseUrl,
    Content,
    DataDir,
    Executor,
    ExecutorOption,
    Json,
    LockWait,
    LogFormat,
    LogFormatOption,
    ProfileName,
    Quiet,
    RawPlace,
    RayAddress,
    check_executor,
    read_flags,
    spread,
)

if TYPE_CHECKING:
    from pipeline.settings.invocation import Settings
    from pipeline.threads.naming import Naming


@dataclass
class SyncFlags:
    """Options that stand before the environment and `pipeline.toml`, by the names of their settings."""

    profile: ProfileName = None
    base_url: BaseUrl = None
    data_dir: DataDir = None
    raw: RawPlace = None
    plain_http_hosts: AllowHttp = None
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at most (default: 32).")] = None
    workers: Annotated[int | None, typer.Option(help="Processes that fetch (default: as many as help here).")] = None
    requests_per_minute: Annotated[float | None, typer.Option(help="Requests started per minute at most.")] = None
    attempts: Annotated[int | None, typer.Option(help="Tries for one request, the first included (default: 6).")] = None
    content: Content = None
    include_content: Annotated[
        bool | None,
        typer.Option(
            "--search-content/--no-search-content",
            " /--no-content",
            help="Ask for the texts that file searches found (default: yes).",
        ),
    ] = None
    follow_agents: Annotated[
        bool | None,
        typer.Option(
            "--follow-agents/--no-follow-agents",
            help="Sync the threads of connected agents as well (default: with kind foundry).",
        ),
    ] = None
    cold_after: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Without changes for so long a thread is cold; turns decay on (default: 7d)."),
    ] = None
    cold_share: Annotated[
        float | None,
        typer.Option(max=1, help="A cold thread is due again after this share of its age (default: 0.1)."),
    ] = None
    cold_longest: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="A cold thread is due again after this at the latest (default: 30d)."),
    ] = None
    settle_after: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Ask for so long again for runs that ended without usage, with an open step, or with a usage"
            " that their steps do not add up to (default: 1d; 3d for turns of the Agents API).",
        ),
    ] = None


@spread
def sync(
    thread_ids: Annotated[list[str] | None, typer.Argument(metavar="THREAD_ID", help="Threads to sync.")] = None,
    *,
    threads: Annotated[
        list[str] | None,
        typer.Option("--threads", metavar="FILE", help="Thread ids: one a line, CSV, JSONL or Parquet; - is stdin."),
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Sync the built-in sample: no key, no network.")] = False,
    all_threads: Annotated[
        bool, typer.Option("--all-threads", help="Every thread that the server lists (not every server does).")
    ] = False,
    threads_sql: Annotated[
        list[str] | None,
        typer.Option(
            "--threads-sql",
            metavar="SELECT",
            help="Thread ids from any file that DuckDB reads; the warehouse is there as `warehouse`.",
        ),
    ] = None,
    responses: Annotated[
        list[str] | None,
        typer.Option(
            "--responses",
            metavar="FILE",
            help="Response ids in any text: a list, JSONL, CSV, an application's log; - is stdin.",
        ),
    ] = None,
    chains: Annotated[
        bool, typer.Option("--chains", help="Fetch what responses go on from as well, back to the start of each chain.")
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for named responses that are still being made.")
    ] = 0.0,
    known: Annotated[bool, typer.Option("--known", help="All threads of this source in the warehouse.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="AGE|DATE|decay",
            help="Skip threads whose runs are all older than 30d, 12h, 4w or a date;"
            " decay: ask those without changes less and less often.",
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I of N of the threads, by a stable hash of the id.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the plan (threads, runs, requests, time); fetch nothing but the list of --all-threads.",
        ),
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Fetch runs that are whole again as well.")] = False,
    no_load: Annotated[
        bool,
        typer.Option(
            "--no-load", help="Land and flatten only; `load` by one process brings in the parts of all shards."
        ),
    ] = False,
    executor: ExecutorOption = Executor.LOCAL,
    ray_address: RayAddress = None,
    flags: SyncFlags,
    lock_wait: LockWait = 30.0,
    quiet: Quiet = False,
    as_json: Json = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Fetch runs and steps of threads and load them; running it again fetches only what may have changed."""
    from pipeline.cluster.crew import start_early
    from pipeline.verbs.sync import sample as samples

    check_executor(executor, ray_address)
    settings = read_flags(**vars(flags))
    fetches_here = executor is Executor.LOCAL and not sample and not dry_run
    crew = start_early(settings["workers"], data_dir=settings.data_dir, files=threads or ()) if fetches_here else None
    server = samples.start_early(settings.data_dir) if sample and not dry_run else None
    # Read after that, for it takes as long as it takes the others to be ready.
    from pipeline.threads.decay import parse_age
    from pipeline.threads.naming import Naming
    from pipeline.verbs.sync.command import SyncRequest, sync_threads

    named = Naming(
        thread_ids or (), threads or (), threads_sql or (), responses or (), known=known, all_threads=all_threads
    )
    request = SyncRequest(
        _narrow(named, settings, since=since, shard=shard, full=full),
        settle_s=parse_age(settings.settle_after, where="settle_after").total_seconds(),
        wait_s=wait,
        sample=sample,
        full=full,
        chains=chains,
        dry_run=dry_run,
        lock_wait_s=lock_wait,
        loads=not no_load,
        executor=executor.value,
        ray_address=ray_address,
        crew=crew,
        server=server,
    )
    code = sync_threads(settings, request, quiet=quiet, as_json=as_json, log_format=log_format.value)
    raise typer.Exit(code)


def _narrow(naming: "Naming", settings: "Settings", *, since: str | None, shard: str | None, full: bool) -> "Naming":
    """The same threads, but of them only those with a run since then, of this shard, that are due."""
    from pipeline.threads.decay import DECAY, make_decay
    from pipeline.threads.selection import parse_shard, parse_since

    decay = make_decay(settings["cold_after"], settings["cold_share"], settings["cold_longest"], asked=since == DECAY)
    return replace(
        naming,
        since=None if since in (None, DECAY) else parse_since(since, now=datetime.now(UTC)),
        shard=None if shard is None else parse_shard(shard),
        decay=None if full else decay,
    )


def import_(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, globs: JSON, JSONL, HAR, .gz, .zst; - is stdin."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come; write nothing.")] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="The source that they belong to (default: the profile, or archive).")
    ] = None,
    profile: ProfileName = None,
    data_dir: DataDir = None,
    raw: RawPlace = None,
    content: Content = None,
    executor: ExecutorOption = Executor.LOCAL,
    ray_address: RayAddress = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=256, help="Tasks at a time with --executor ray (default: as many as help).")
    ] = None,
    lock_wait: LockWait = 30.0,
    quiet: Quiet = False,
    as_json: Json = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Bring in runs and steps from archives: API answers, one object a line, HTTP recordings; no network."""
    from pipeline.verbs.archive_import import DEFAULT_SOURCE, ImportRequest, import_archives
    from pipeline.verbs.content_key import check_content, read_content_key, read_history
    from pipeline.warehouse.database import warehouse_path

    check_executor(executor, ray_address, tasks=workers)
    settings = read_flags(profile=profile, data_dir=data_dir, raw=raw, content=content)
    belongs_to = source or (DEFAULT_SOURCE if profile is None else settings.source)
    key = read_content_key(settings)
    notices = check_content(read_history(warehouse_path(settings.data_dir), belongs_to), settings, belongs_to, key)
    request = ImportRequest(
        paths,
        belongs_to,
        settings.data_dir,
        lock_wait,
        key,
        notices,
        executor=executor.value,
        ray_address=ray_address,
        workers=workers or 0,
        odd_fields=settings["odd_fields"],
        facts=settings.source_facts(is_named=profile is not None),
        dry_run=dry_run,
    )
    raise typer.Exit(import_archives(request, quiet=quiet, as_json=as_json, log_format=log_format.value))
