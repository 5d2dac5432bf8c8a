"""The command line: verbs, options, errors as text and exit codes. Heavy modules are imported by the verb that needs them."""

import contextlib
import json
import os
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import __version__
from pipeline.cli_money import add_money_verbs
from pipeline.cli_objects import runs_app, steps_app
from pipeline.errors import ConfigurationError, PipelineError, RequestError

if TYPE_CHECKING:
    from pipeline.config import Settings

INTERRUPTED = 130
_OTHERS = 0o077
_EXIT_CODES = """
Exit codes: 0 done; 1 a bug of ours; 2 usage or configuration; 3 refused by the server (key, quota, permission);
4 incomplete (some threads or walks failed, what landed is kept); 5 a check failed; 6 the warehouse is locked;
130 interrupted, safe to run again.
"""

app = typer.Typer(
    name="pipeline",
    help="Run steps of AI assistants into DuckDB: what their tools did and what they cost.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(runs_app, name="runs")
app.add_typer(steps_app, name="steps")
add_money_verbs(app)


class Output(StrEnum):
    """Formats of `query`."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class LogFormat(StrEnum):
    """Formats of messages on stderr."""

    TEXT = "text"
    JSON = "json"


class Dialect(StrEnum):
    """Dialects of the emulator."""

    PLAIN = "plain"
    OPENAI = "openai"
    AZURE = "azure"
    FOUNDRY = "foundry"


class AuthStyle(StrEnum):
    """Where the emulator wants its key."""

    BEARER = "bearer"
    API_KEY = "api-key"
    NONE = "none"


DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of raw parts and warehouse (default: ./data).")
]
ProfileName = Annotated[str | None, typer.Option("--profile", help="A [profiles.NAME] of pipeline.toml.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="Where the API is, for example https://HOST/v1.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
LogFormatOption = Annotated[LogFormat, typer.Option("--log-format", help="Messages on stderr as text or JSON lines.")]
LockWait = Annotated[
    float, typer.Option("--lock-wait", help="Seconds to wait for another process that writes to the warehouse.")
]


def main() -> None:
    """Run the command line; every error leaves as a message and an exit code."""
    # What we write holds conversations: nobody else may read it, nor the logs that duckdb makes beside its file.
    os.umask(_OTHERS)
    code = _run()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    # Not through the interpreter's own end: after an interruption a load may still be under way in its thread (its
    # transaction is safe to leave), and duckdb 2.0.0 takes what polars holds on to for leaks and says so on stderr.
    os._exit(code)


def _run() -> int:
    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    except PipelineError as error:
        hint = f" ({error.hint})" if isinstance(error, RequestError) and error.hint else ""
        print(f"error: {error}{hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: it is safe to run this again", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing more to say to it.
        return 0
    except Exception:  # noqa: BLE001 - the last line of defence: a bug of ours, reported as one
        print(f"This is a bug in run-steps-pipeline {__version__}; please report it with:", file=sys.stderr)
        print(traceback.format_exc(), file=sys.stderr)
        return 1
    return 0


@app.command()
def sync(
    thread_ids: Annotated[list[str] | None, typer.Argument(metavar="THREAD_ID...", help="Threads to sync.")] = None,
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
    known: Annotated[bool, typer.Option("--known", help="All threads of this source in the warehouse.")] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE|DATE", help="Skip threads whose runs are all older than 30d, 12h, 4w or a date."),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I of N of the threads, by a stable hash of the id.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan (threads, runs, requests, time) and fetch nothing.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Fetch sealed runs again as well.")] = False,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    data_dir: DataDir = None,
    allow_http: Annotated[
        list[str] | None, typer.Option("--allow-http", metavar="HOST", help="Accept plain http to this host.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at most (default: 32).")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that fetch (default: as many as help here).")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="Requests started per minute at most.")] = None,
    attempts: Annotated[
        int | None, typer.Option(help="Tries for one request, the first included (default: 6).")
    ] = None,
    content: Annotated[
        bool | None, typer.Option("--content/--no-content", help="Ask for the texts that file searches found.")
    ] = None,
    follow_agents: Annotated[
        bool | None,
        typer.Option(
            "--follow-agents/--no-follow-agents",
            help="Sync the threads of connected agents as well (default: with kind foundry).",
        ),
    ] = None,
    lock_wait: LockWait = 30.0,
    quiet: Quiet = False,
    as_json: Json = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Fetch runs and steps of threads and load them; running it again fetches only what may have changed."""
    from pipeline.naming import Naming
    from pipeline.syncing import SyncRequest, sync_threads
    from pipeline.threads import parse_shard, parse_since

    settings = _settings(
        profile=profile,
        base_url=base_url,
        data_dir=data_dir,
        plain_http_hosts=allow_http,
        concurrency=concurrency,
        workers=workers,
        requests_per_minute=requests_per_minute,
        attempts=attempts,
        include_content=content,
        follow_agents=follow_agents,
    )
    naming = Naming(
        thread_ids or (),
        threads or (),
        threads_sql or (),
        known=known,
        all_threads=all_threads,
        since=None if since is None else parse_since(since, now=datetime.now(UTC)),
        shard=None if shard is None else parse_shard(shard),
    )
    request = SyncRequest(naming, sample=sample, full=full, dry_run=dry_run, lock_wait_s=lock_wait)
    code = sync_threads(settings, request, quiet=quiet, as_json=as_json, log_format=log_format.value)
    raise typer.Exit(code)


@app.command("import")
def import_(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, globs: JSON, JSONL, HAR, also .gz or .zst.")
    ],
    source: Annotated[
        str | None, typer.Option("--source", help="The source that they belong to (default: the profile, or archive).")
    ] = None,
    profile: ProfileName = None,
    data_dir: DataDir = None,
    lock_wait: LockWait = 30.0,
    quiet: Quiet = False,
    as_json: Json = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Bring in runs and steps from archives: API answers, one object a line, HTTP recordings; no network."""
    from pipeline.importing import DEFAULT_SOURCE, ImportRequest, import_archives

    settings = _settings(profile=profile, data_dir=data_dir)
    belongs_to = source or (DEFAULT_SOURCE if profile is None else settings.source)
    request = ImportRequest(paths, belongs_to, settings.data_dir, lock_wait_s=lock_wait)
    raise typer.Exit(import_archives(request, quiet=quiet, as_json=as_json, log_format=log_format.value))


@app.command()
def load(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the warehouse anew from all raw parts.")] = False,
    data_dir: DataDir = None,
    lock_wait: LockWait = 30.0,
    as_json: Json = False,
) -> None:
    """Load raw parts that have landed; no network."""
    from pipeline.load import load_new_parts
    from pipeline.load import rebuild as rebuild_warehouse
    from pipeline.sync import raw_store, warehouse_path

    folder = _settings(data_dir=data_dir).data_dir
    store, warehouse = raw_store(folder), warehouse_path(folder)
    if rebuild and not store.list_parts():
        raise ConfigurationError(
            f"there are no raw parts in {store.folder}: nothing to rebuild from, {warehouse} is left"
        )
    if rebuild:
        count = rebuild_warehouse(store, warehouse, wait_s=lock_wait, no_ledger=_say_priced_anew)
    else:
        count = load_new_parts(store, warehouse, wait_s=lock_wait)
    if as_json:
        print(json.dumps({"warehouse": str(warehouse), "parts": count, "rebuilt": rebuild}))
    else:
        print(f"{'rebuilt from' if rebuild else 'loaded'} {count:,} raw part{'' if count == 1 else 's'}: {warehouse}")


@app.command()
def status(
    config: Annotated[bool, typer.Option("--config", help="Settings in force and where each came from.")] = False,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """What is covered: threads, runs and steps of each source, parts that wait to be loaded."""
    from pipeline.syncing import print_config, print_status

    settings = _settings(profile=profile, base_url=base_url, data_dir=data_dir)
    if config:
        print_config(settings, as_json=as_json)
    else:
        print_status(settings.data_dir, as_json=as_json)


@app.command()
def query(
    text: Annotated[str | None, typer.Argument(metavar="NAME|SQL", help="A named query or one SQL statement.")] = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter ($NAME in the SQL).")
    ] = None,
    output: Annotated[Output, typer.Option("--format", help="How to print the result.")] = Output.TABLE,
    limit: Annotated[int, typer.Option("--limit", help="Rows of a table to print.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Print all rows of a table.")] = False,
    list_queries: Annotated[bool, typer.Option("--list", help="The named queries.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Run a named query or SQL, read-only."""
    from pipeline.query import print_queries, print_result, run_query
    from pipeline.sync import warehouse_path

    if list_queries:
        print_queries()
        return
    if text is None:
        raise ConfigurationError("say what to query: a name (query --list shows them) or SQL in quotes")
    result = run_query(warehouse_path(_settings(data_dir=data_dir).data_dir), text, _pairs(params or []))
    print_result(result, output.value, limit=None if everything else limit)


@app.command()
def report(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The HTML file (default: report.html in DATA_DIR).")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="AGE|DATE", help="Only usage since 30d, 4w or a date (whole UTC days).")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only this source (default: all).")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write one HTML file that opens offline: spend, tools, waste, and what is known to be missing."""
    from pipeline.report import Scope, write_report
    from pipeline.sync import warehouse_path
    from pipeline.threads import parse_since

    now = datetime.now(UTC)
    folder = _settings(data_dir=data_dir).data_dir
    path = out or folder / "report.html"
    since_on = None if since is None else parse_since(since, now=now).astimezone(UTC).date()
    write_report(warehouse_path(folder), path, Scope(source, since_on), now=now)
    print(path)


@app.command()
def emulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="The corpus follows from it.")] = 7,
    threads: Annotated[int, typer.Option(help="Threads in the corpus.")] = 400,
    phase: Annotated[int, typer.Option(help="0: some runs are open; 1: they have finished.", min=0, max=1)] = 0,
    dialect: Annotated[Dialect, typer.Option(help="What it lists and what it demands.")] = Dialect.PLAIN,
    auth: Annotated[AuthStyle, typer.Option(help="Where it wants the key.")] = AuthStyle.BEARER,
    base_path: Annotated[str, typer.Option(help="Path in front of /threads.")] = "/v1",
    until_stdin_ends: Annotated[bool, typer.Option(help="Stop when standard input is closed.")] = False,
) -> None:
    """A local server of the protocol with made-up threads; one JSON line when it listens. It wants the key EMULATOR_API_KEY."""
    from pipeline.emulator import run_emulator

    run_emulator(
        host=host,
        port=port,
        seed=seed,
        threads=threads,
        phase=phase,
        api_key=os.environ.get("EMULATOR_API_KEY", "emulator-key"),
        dialect=dialect.value,
        auth=auth.value,
        base_path=base_path,
        stop_on_stdin_eof=until_stdin_ends,
    )


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def _settings(**flags: Any) -> "Settings":
    from pipeline.config import read_settings

    given = {name: str(value) if isinstance(value, Path) else value for name, value in flags.items()}
    return read_settings(given, os.environ, Path.cwd())


def _say_priced_anew() -> None:
    print("there was no ledger to keep: sealed runs are priced with the price book of today", file=sys.stderr)


def _pairs(params: list[str]) -> dict[str, str]:
    pairs = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--param {param!r} is not NAME=VALUE")
        pairs[name] = value
    return pairs
