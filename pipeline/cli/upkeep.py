"""The command line of upkeep: `prune` and `doctor`; the verbs are in `verbs.prune` and `verbs.doctor`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AllowHttp, BaseUrl, DataDir, Json, LockWait, ProfileName, read_flags


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Raw parts that landed longer ago: 90d, 12w, 12h.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    data_dir: DataDir = None,
    lock_wait: LockWait = 30.0,
    as_json: Json = False,
) -> None:
    """Remove old raw parts that are loaded. The warehouse cannot be rebuilt from raw parts any more then."""
    from pipeline.threads.decay import parse_age
    from pipeline.verbs.prune import PruneRequest, prune_raw

    now = datetime.now(UTC)
    age = parse_age(older_than, where="--older-than")
    request = PruneRequest(age, now, dry_run=dry_run, yes=yes, lock_wait_s=lock_wait)
    prune_raw(read_flags(data_dir=data_dir).data_dir, request, as_json=as_json)


def doctor(
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    data_dir: DataDir = None,
    allow_http: AllowHttp = None,
    all_parts: Annotated[
        bool, typer.Option("--all-parts", help="Read every raw part, not only the newest 256 MiB of them.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the server.")] = False,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="THREAD_ID",
            help="Only this: ask the lists of one thread in ten ways, and say which guarantees of the protocol the"
            " server gives.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at configuration, key, server, clock, disk and data and say what to do; exit code 5 if something failed."""
    from pipeline.errors import ConfigurationError
    from pipeline.verbs.doctor.command import Examination, examine

    flags = {"profile": profile, "base_url": base_url, "data_dir": data_dir, "plain_http_hosts": allow_http}
    if server is not None:
        from pipeline.verbs.doctor.conformance import examine_conformance

        raise typer.Exit(examine_conformance(read_flags(**flags), server, as_json=as_json))
    settings, fault = None, None
    try:
        settings = read_flags(**flags)
    except ConfigurationError as error:
        fault = str(error)
    # A configuration that cannot be read must not keep anybody from looking at the data.
    folder = settings.data_dir if settings else data_dir or Path(os.environ.get("PIPELINE_DATA_DIR", "data"))
    examination = Examination(settings, fault, folder, all_parts=all_parts, offline=offline)
    raise typer.Exit(examine(examination, as_json=as_json))
