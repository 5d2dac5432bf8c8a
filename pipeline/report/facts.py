"""What a report says, as frames: one for each file in `sql/report/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.report.period_change import PeriodChange, compare_periods, no_parts
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame

# Made first, in this order; the other files read them.
_SCOPED = ("report_spending", "report_calls", "report_runs")
_SOURCES = "select source from threads union select source from runs union select source from run_steps order by source"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about: one source or all, from a UTC day on or from the beginning."""

    source: str | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Frames by the name of their file in `sql/report/`, the sources that the warehouse holds, and what changed."""

    scope: Scope
    sources: list[str]
    frames: Mapping[str, pl.DataFrame]
    change: PeriodChange | None = None


def read_facts(connection: Connection, scope: Scope, *, now: datetime) -> Facts:
    """Everything that a report says. Raises ConfigurationError if the warehouse does not hold the source."""
    sources: list[str] = read_frame(connection, _SOURCES)["source"].to_list()
    if scope.source is not None and scope.source not in sources:
        known = ", ".join(sources) or "none"
        raise ConfigurationError(f"there is no source {scope.source!r} in the warehouse; it holds: {known}")
    files = read_sql_files("report")
    for name in _SCOPED:
        connection.execute(files[name].text, _parameters(files[name], scope))
    frames = {
        name: read_frame(connection, file.text, _parameters(file, scope))
        for name, file in files.items()
        if name not in _SCOPED
    }
    last_on = frames["totals"]["last_day"][0]
    change = compare_periods(connection, source=scope.source, since=scope.since, last_on=last_on, now=now)
    frames["change"] = no_parts() if change is None else change.parts
    return Facts(scope, [scope.source] if scope.source is not None else sources, frames, change)


def _parameters(file: SqlFile, scope: Scope) -> dict[str, str | date | None] | None:
    """The parameters that the file declares; DuckDB takes no others."""
    given = {"source": scope.source, "since": scope.since}
    return {name: given[name] for name in file.params} or None
