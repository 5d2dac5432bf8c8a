"""The command line of lakes: `publish delta`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.help import GROUP, Verb
from pipeline.cli.options import (
    DataDir,
    Executor,
    ExecutorOption,
    Json,
    Quiet,
    RawPlace,
    RayAddress,
    check_executor,
    read_flags,
)

publish_app = typer.Typer(
    help="Publish the tables to a format that other engines read.",
    **GROUP,
)


@publish_app.command("delta", cls=Verb)
def publish_delta(
    place: Annotated[
        str,
        typer.Argument(metavar="PLACE", help="The lake: a folder, or s3://, gs:// or az:// with bucket and prefix."),
    ],
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Data folders of shards whose parts are brought in first."),
    ] = None,
    optimize: Annotated[
        bool,
        typer.Option(
            "--optimize", help="Then bring small files together, in the order they are in, so that queries open fewer."
        ),
    ] = False,
    vacuum: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS",
            min=1,
            help="Then remove files that only versions older than this need, and those versions (7 is usual).",
        ),
    ] = None,
    without_pruned: Annotated[
        bool, typer.Option("--without-pruned", help="Go on although raw parts were pruned before they were published.")
    ] = False,
    executor: ExecutorOption = Executor.LOCAL,
    ray_address: RayAddress = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=256, help="Tasks at a time with --executor ray (default: as many as help).")
    ] = None,
    data_dir: DataDir = None,
    raw: RawPlace = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Bring raw parts into a Delta Lake with the warehouse's tables; twice, or by two at once, is the same as once."""
    from pipeline.verbs.lake import PublishRequest, publish_to_lake

    check_executor(executor, ray_address, tasks=workers)
    request = PublishRequest(
        place,
        folders or [],
        optimize=optimize,
        vacuum_days=vacuum,
        without_pruned=without_pruned,
        quiet=quiet,
        executor=executor.value,
        ray_address=ray_address,
        workers=workers or 0,
    )
    publish_to_lake(read_flags(data_dir=data_dir, raw=raw).data_dir, request, as_json=as_json)
