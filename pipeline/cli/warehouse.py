"""The command line of what works on the warehouse without network: `load`, `status`, `query`, `report`."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import BaseUrl, DataDir, Json, LakePlace, LockWait, ProfileName, RawPlace, read_flags, spread
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pipeline.verbs.query.output import Look


class Output(StrEnum):
    """Formats of `query`."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    MARKDOWN = "markdown"
    PARQUET = "parquet"


@dataclass
class LookOptions:
    """Options that say how an answer is printed."""

    output: Annotated[
        Output | None,
        typer.Option("--format", "-f", help="Default: by the ending of --out, else table."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it there.")] = None
    limit: Annotated[
        int | None,
        typer.Option(min=0, max=2**31, help="Rows to print (default: as the query says)."),
    ] = None
    everything: Annotated[bool, typer.Option("--all", help="Print all rows.")] = False
    wide: Annotated[bool, typer.Option("--wide", help="All columns, however wide the terminal is.")] = False
    vertical: Annotated[bool, typer.Option("--vertical", help="Each value on a line of its own.")] = False
    decimal_strings: Annotated[bool, typer.Option("--decimal-strings", help="JSON with exact numbers as texts.")] = (
        False
    )
    csv_raw: Annotated[
        bool,
        typer.Option("--csv-raw", help="CSV whose texts a spreadsheet may run."),
    ] = False

    def chosen(self) -> "Look":
        """What they come to."""
        from pipeline.verbs.query.output import Look, format_of

        output = Output.JSON.value if self.as_json else self.output and self.output.value
        return Look(
            output=output or format_of(self.out),
            limit=self.limit,
            everything=self.everything,
            raw_csv=self.csv_raw,
            decimal_strings=self.decimal_strings,
            wide=self.wide,
            vertical=self.vertical,
            out=self.out,
        )


def load(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="Data folders of shards whose parts are brought in first."),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the warehouse anew from all raw parts.")] = False,
    forget_pruned: Annotated[
        bool,
        typer.Option("--forget-pruned", help="With --rebuild: do without raw parts that were pruned or are gone."),
    ] = False,
    data_dir: DataDir = None,
    raw: RawPlace = None,
    lock_wait: LockWait = 30.0,
    as_json: Json = False,
) -> None:
    """Load raw parts that have landed, here or in the data folders named; no network."""
    from pipeline.verbs.landed_parts import LoadRequest, load_landed

    request = LoadRequest(folders or [], rebuild, forget_pruned, lock_wait)
    if code := load_landed(read_flags(data_dir=data_dir, raw=raw).data_dir, request, as_json=as_json):
        raise typer.Exit(code)


def status(
    config: Annotated[bool, typer.Option("--config", help="Settings in force and where each came from.")] = False,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    data_dir: DataDir = None,
    raw: RawPlace = None,
    as_json: Json = False,
) -> None:
    """What is covered: threads, runs and steps of each source, parts that wait to be loaded."""
    from pipeline.verbs.status import print_config, print_status

    settings = read_flags(profile=profile, base_url=base_url, data_dir=data_dir, raw=raw)
    if config:
        print_config(settings, as_json=as_json)
    else:
        print_status(settings.data_dir, as_json=as_json)


@spread
def query(
    text: Annotated[
        str | None,
        typer.Argument(metavar="NAME|SQL", help="A named query, a table, SQL in quotes, a file.sql, or - (stdin)."),
    ] = None,
    *,
    list_queries: Annotated[bool, typer.Option("--list", "-l", help="The named queries.")] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="From 2026-05-01, 2026-05, 30d or 4w on."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="To 2026-05-31 or 2026-05, both included."),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="A parameter ($NAME in the SQL)."),
    ] = None,
    look: LookOptions,
    lake: LakePlace = None,
    data_dir: DataDir = None,
) -> None:
    """Run a named query or SQL, read-only."""
    from pipeline.money.periods import parse_days
    from pipeline.verbs.query.command import ask, read_text
    from pipeline.verbs.query.output import check_look, print_answer, print_queries
    from pipeline.warehouse.database import warehouse_path

    if list_queries:
        print_queries()
        return
    if not text or text.isspace():
        raise ConfigurationError("say what to query: a name (query --list shows them) or SQL in quotes")
    period = parse_days(since, until, today=datetime.now(UTC).date())
    place = warehouse_path(read_flags(data_dir=data_dir).data_dir) if lake is None else lake
    chosen = look.chosen()
    check_look(chosen)
    print_answer(ask(place, read_text(text), _pairs(params or []), period=period, look=chosen), chosen)


def report(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The HTML file (default: report.html in DATA_DIR).")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only usage since 30d, 4w, 2026-05 or 2026-05-01 (UTC days)."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only usage until this UTC day, itself in it.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="The key of runs' metadata that names customers (default: customer, or a usual one)."
        ),
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only this source (default: all).")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write one HTML file that opens offline: spend, tools, waste, and what is known to be missing."""
    from pipeline.money.periods import parse_days
    from pipeline.report import Scope, write_report
    from pipeline.warehouse.database import warehouse_path

    now = datetime.now(UTC)
    folder = read_flags(data_dir=data_dir).data_dir
    path = out or folder / "report.html"
    period = parse_days(since, until, today=now.date())
    since_on = period.first_on if period and since else None
    until_on = period.last_on if period and until else None
    write_report(warehouse_path(folder), path, Scope(source, since_on, until_on, key), now=now)
    # What is no plain file may be where this would be printed.
    print(path, file=sys.stdout if path.is_file() and not path.is_symlink() else sys.stderr)


def _pairs(params: list[str]) -> dict[str, str]:
    pairs = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--param {param!r} is not NAME=VALUE")
        pairs[name] = value
    return pairs
