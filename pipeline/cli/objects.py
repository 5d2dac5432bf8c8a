"""The command line of `runs` and `steps`: options only; the verbs are in `verbs.objects`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.help import GROUP, Verb
from pipeline.cli.options import AllowHttp, BaseUrl, Content, ProfileName, read_flags, spread

if TYPE_CHECKING:
    from pipeline.verbs.objects import Connected

runs_app = typer.Typer(**GROUP, help="Runs as the server sends them, one JSON text a line.")
steps_app = typer.Typer(
    **GROUP,
    help="Run steps as the server sends them, one JSON text a line.",
)


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


@dataclass
class Server:
    """Options that say whom to ask and what may be shown, by the names of their settings."""

    profile: ProfileName = None
    base_url: BaseUrl = None
    plain_http_hosts: AllowHttp = None
    content: Content = None

    def connect(self) -> "Connected":
        """The client that they come to."""
        from pipeline.settings.connect import make_client
        from pipeline.verbs.content_key import read_content_key
        from pipeline.verbs.objects import Connected

        settings = read_flags(**vars(self))
        return Connected(make_client(settings), read_content_key(settings))


@dataclass
class Page:
    """Options that say which part of a list to ask for."""

    limit: Limit = None
    order: OrderOption = None
    after: After = None
    before: Before = None
    everything: Everything = False


def _print_list(server: Server, page: Page, *segments: str, include: list[str] | None = None) -> None:
    from pipeline.verbs.objects import ListQuery, print_list

    order = page.order and page.order.value
    query = ListQuery(page.limit, order, page.after, page.before, include or (), page.everything)
    print_list(server.connect(), segments, query)


def _print_object(server: Server, *segments: str, include: list[str] | None = None) -> None:
    from pipeline.verbs.objects import print_object

    print_object(server.connect(), segments, include or ())


@runs_app.command("list", cls=Verb)
@spread
def list_runs(thread_id: ThreadId, page: Page, server: Server) -> None:
    """A page of a thread's runs, or with --all every run."""
    _print_list(server, page, "threads", thread_id, "runs")


@runs_app.command("get", cls=Verb)
@spread
def get_run(thread_id: ThreadId, run_id: RunId, server: Server) -> None:
    """One run."""
    _print_object(server, "threads", thread_id, "runs", run_id)


@steps_app.command("list", cls=Verb)
@spread
def list_steps(thread_id: ThreadId, run_id: RunId, *, page: Page, include: Include = None, server: Server) -> None:
    """A page of a run's steps, or with --all every step."""
    _print_list(server, page, "threads", thread_id, "runs", run_id, "steps", include=include)


@steps_app.command("get", cls=Verb)
@spread
def get_step(thread_id: ThreadId, run_id: RunId, step_id: StepId, *, include: Include = None, server: Server) -> None:
    """One step."""
    _print_object(server, "threads", thread_id, "runs", run_id, "steps", step_id, include=include)
