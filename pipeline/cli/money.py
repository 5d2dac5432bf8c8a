"""The command line of money: options only; the verbs are in `verbs.money`, `verbs.bills` and `verbs.change`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.help import GROUP, Verb
from pipeline.cli.options import DataDir, Json, LockWait, ProfileName, read_flags

prices_app = typer.Typer(
    **GROUP,
    help="The price book: what it says, why, and repricing of runs that are whole.",
)


@prices_app.command("list", cls=Verb)
def list_prices(
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="Only models whose name contains this.")] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The rows of the price book, your own included, and your discounts."""
    from pipeline.verbs.money import print_prices

    print_prices(read_flags(data_dir=data_dir), text, as_json=as_json)


@prices_app.command("explain", cls=Verb)
def explain_price(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's or a deployment's name.")],
    at: Annotated[str | None, typer.Option("--at", metavar="DATE", help="The day (default: today, UTC).")] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", help="openai or azure: who charges (default: that of the profile's server)."),
    ] = None,
    sku: Annotated[
        str | None,
        typer.Option("--sku", help="Azure: global, datazone, regional or provisioned (default: that of the source)."),
    ] = None,
    profile: ProfileName = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The row that prices a model on a day, and the rules that found it; names like it, if there is none."""
    from pipeline.money.repricing import Charged
    from pipeline.verbs.money import print_explanation

    settings = read_flags(profile=profile, data_dir=data_dir)
    print_explanation(settings, model, at, asked=Charged(provider=provider, sku=sku), as_json=as_json)


@prices_app.command("reprice", cls=Verb)
def reprice(
    model: Annotated[str | None, typer.Option("--model", help="Only runs of this model.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    data_dir: DataDir = None,
    lock_wait: LockWait = 30.0,
    as_json: Json = False,
) -> None:
    """Bring the costs of whole runs to today's price book: shows the difference, asks, logs it in `repricings`."""
    from pipeline.verbs.money import reprice_ledger

    settings = read_flags(data_dir=data_dir)
    reprice_ledger(settings, model, yes=yes, lock_wait_s=lock_wait, as_json=as_json)


def check(
    budgets: Annotated[
        Path | None,
        typer.Option("--budgets", metavar="FILE", help="Budgets (default: ./budgets.toml, if it is there)."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="Judge budgets as of the end of this day (default: now).")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as well.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Run the checks, look for rows that are there twice, judge budgets; exit code 5 with a line for each breach."""
    from pipeline.verbs.money import CheckRequest, check_warehouse

    request = CheckRequest(budgets, at, strict=strict)
    raise typer.Exit(check_warehouse(read_flags(data_dir=data_dir), request, as_json=as_json))


def import_usage(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="Usage or cost answers (JSON, JSON lines) or exports of the console (CSV)."
        ),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Fetch them with the admin key in OPENAI_ADMIN_KEY.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="With --admin: the first day (default: 30 days ago).")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="The source whose costs this bill is for (default: the profile).")
    ] = None,
    profile: ProfileName = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="With --admin: where the API is (default: https://api.openai.com/v1)."),
    ] = None,
    data_dir: DataDir = None,
    lock_wait: LockWait = 30.0,
    as_json: Json = False,
) -> None:
    """Bring in what the provider billed; the view `reconciliation` puts it beside what we computed."""
    from pipeline.verbs.bills import UsageRequest, import_bills

    settings = read_flags(profile=profile, data_dir=data_dir, base_url=base_url)
    request = UsageRequest(files or [], admin=admin, since=since, source=source, lock_wait_s=lock_wait)
    import_bills(settings, request, as_json=as_json)


def explain_cost(
    on: Annotated[str, typer.Option("--on", metavar="DATE", help="The UTC day.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """What a day cost, how it was priced, what the bill says, and what could explain the difference."""
    from pipeline.verbs.bills import print_day

    print_day(read_flags(data_dir=data_dir), on, as_json=as_json)


def explain_change(
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="PERIOD", help="The period to come from (default: the one before --to)."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="PERIOD",
            help="2026-09, 2026-W40, 2026-09-30, 2026-09-01..2026-09-30, 2026 or 30d (default: the last whole month).",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Tell it by model, assistant, tool or metadata.KEY as well.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only this source (default: all).")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Why one period cost more or less than another: the difference by its reasons, which add up to it exactly."""
    from pipeline.verbs.change.command import ChangeRequest, print_change

    print_change(read_flags(data_dir=data_dir), ChangeRequest(from_, to, by, source), as_json=as_json)


def add_money_verbs(app: typer.Typer) -> None:
    """Put these verbs onto the command line."""
    app.add_typer(prices_app, name="prices")
    app.command("check", cls=Verb)(check)
    app.command("import-usage", cls=Verb)(import_usage)
    app.command("explain-cost", cls=Verb)(explain_cost)
    app.command("explain-change", cls=Verb)(explain_change)
