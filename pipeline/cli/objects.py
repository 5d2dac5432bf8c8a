"""The command line of `runs` and `steps`: options only; the verbs are in `verbs.objects`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import AllowHttp, BaseUrl, Content, ContentMode, ProfileName, read_flags

if TYPE_CHECKING:
    from pipeline.verbs.objects import Connected

runs_app = typer.Typer(no_args_is_help=True, help="Runs as the server sends them, one JSON text a line.")
steps_app = typer.Typer(no_args_is_help=True, help="Run steps as the server sends them, one JSON text a line.")


class Order(StrEnum):
    """Orders of a list, by created_at."""

    ASC = "asc"
    DESC = "desc"


ThreadId = Annotated[str, typer.Argument(metavar="THREAD_ID")]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID")]
StepId = Annotated[str, typer.Argument(metavar="STEP_ID")]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, max=100, help="Items of a page (default: the server's, 20).")
]
OrderOption = Annotated[
    Order | None, typer.Option("--order", help="By created_at; without it the server's, newest first.")
]
After = Annotated[str | None, typer.Option("--after", metavar="ID", help="Only what comes after this object.")]
Before = Annotated[str | None, typer.Option("--before", metavar="ID", help="Only what comes before this object.")]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="WHAT", help="content: the texts that file searches found; or any include[]."),
]
Everything = Annotated[bool, typer.Option("--all", help="Walk on to the end of the list.")]


@runs_app.command("list")
def list_runs(
    thread_id: ThreadId,
    limit: Limit = None,
    order: OrderOption = None,
    after: After = None,
    before: Before = None,
    everything: Everything = False,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    allow_http: AllowHttp = None,
    content: Content = None,
) -> None:
    """A page of a thread's runs, or with --all every run."""
    from pipeline.verbs.objects import ListQuery, print_list

    query = ListQuery(limit, order and order.value, after, before, everything=everything)
    print_list(_connect(profile, base_url, allow_http, content), ("threads", thread_id, "runs"), query)


@runs_app.command("get")
def get_run(
    thread_id: ThreadId,
    run_id: RunId,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    allow_http: AllowHttp = None,
    content: Content = None,
) -> None:
    """One run."""
    from pipeline.verbs.objects import print_object

    print_object(_connect(profile, base_url, allow_http, content), ("threads", thread_id, "runs", run_id))


@steps_app.command("list")
def list_steps(
    thread_id: ThreadId,
    run_id: RunId,
    limit: Limit = None,
    order: OrderOption = None,
    after: After = None,
    before: Before = None,
    include: Include = None,
    everything: Everything = False,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    allow_http: AllowHttp = None,
    content: Content = None,
) -> None:
    """A page of a run's steps, or with --all every step."""
    from pipeline.verbs.objects import ListQuery, print_list

    query = ListQuery(limit, order and order.value, after, before, include or (), everything)
    print_list(_connect(profile, base_url, allow_http, content), ("threads", thread_id, "runs", run_id, "steps"), query)


@steps_app.command("get")
def get_step(
    thread_id: ThreadId,
    run_id: RunId,
    step_id: StepId,
    include: Include = None,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    allow_http: AllowHttp = None,
    content: Content = None,
) -> None:
    """One step."""
    from pipeline.verbs.objects import print_object

    segments = ("threads", thread_id, "runs", run_id, "steps", step_id)
    print_object(_connect(profile, base_url, allow_http, content), segments, include or ())


def _connect(
    profile: str | None, base_url: str | None, allow_http: list[str] | None, content: ContentMode | None
) -> "Connected":
    from pipeline.settings.connect import make_client
    from pipeline.verbs.content_key import read_content_key
    from pipeline.verbs.objects import Connected

    settings = read_flags(
        profile=profile, base_url=base_url, plain_http_hosts=allow_http, content=content and content.value
    )
    return Connected(make_client(settings), read_content_key(settings))
