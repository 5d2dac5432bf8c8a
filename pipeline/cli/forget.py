"""The command line of `forget`: options only; the verb is `verbs.forget`."""

from typing import Annotated

import typer

from pipeline.cli.options import DataDir, Json, LockWait, ProfileName, read_flags


def forget(
    thread: Annotated[
        list[str] | None, typer.Option("--thread", metavar="ID", help="A thread; give it once for each.")
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="Threads with a run or step that has this metadata."),
    ] = None,
    full_content: Annotated[
        bool, typer.Option("--full-content", help="Hash the contents that this source still keeps in full.")
    ] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="Only this source (default: all; with --full-content the profile).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    profile: ProfileName = None,
    data_dir: DataDir = None,
    lock_wait: LockWait = 30.0,
    as_json: Json = False,
) -> None:
    """Remove threads, and those of agents that they called, from raw parts and warehouse for good: shows, then asks.

    Syncs and imports, also one that runs now, leave them out, except those that are named as THREAD_ID later.
    """
    from pipeline.verbs.forget import ForgetRequest
    from pipeline.verbs.forget import forget as forget_data

    request = ForgetRequest(
        thread or (), metadata or (), full_content=full_content, source=source, yes=yes, lock_wait_s=lock_wait
    )
    forget_data(read_flags(profile=profile, data_dir=data_dir), request, as_json=as_json)
