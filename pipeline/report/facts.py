"""What a report says, as frames: one for each file in `sql/report/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.report.period_change import PeriodChange, compare_periods, no_parts
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.sqlfiles.held_views import holding_views

# Made first, in this order; the other files read them.
_SCOPED = ("report_spending", "report_calls", "report_runs", "report_days")
_SOURCES = "select source from threads union select source from runs union select source from run_steps order by source"
# The key that says whose a run is, where runs have it.
_USUAL_KEY = "customer"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about: one source or all, from one UTC day to another; the key of metadata names customers."""

    source: str | None = None
    since: date | None = None
    until: date | None = None
    metadata_key: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Frames by the name of their file in `sql/report/`, the sources that the warehouse holds, and what changed."""

    scope: Scope
    sources: list[str]
    frames: Mapping[str, pl.DataFrame]
    metadata_key: str | None = None
    change: PeriodChange | None = None


def read_facts(connection: Connection, scope: Scope, *, now: datetime) -> Facts:
    """Everything that a report says. Raises ConfigurationError if the warehouse does not hold the source or the key."""
    sources: list[str] = read_frame(connection, _SOURCES)["source"].to_list()
    if scope.source is not None and scope.source not in sources:
        known = ", ".join(sources) or "none"
        raise ConfigurationError(f"there is no source {scope.source!r} in the warehouse; it holds: {known}")
    with holding_views(connection, read_sql_files("report").values()):
        return _read_facts(connection, scope, sources, now=now)


def _read_facts(connection: Connection, scope: Scope, sources: list[str], *, now: datetime) -> Facts:
    files = dict(read_sql_files("report"))
    given = {"source": scope.source, "since": scope.since, "until": scope.until}
    _create(connection, files.pop("report_spending"), given)
    key = choose_key(read_frame(connection, files.pop("metadata_keys").text), scope.metadata_key)
    for name in _SCOPED[1:]:
        _create(connection, files.pop(name), {**given, "key": key})
    frames = {name: read_frame(connection, file.text, _parameters(file, given)) for name, file in files.items()}
    last_on = frames["totals"]["last_day"][0]
    change = compare_periods(connection, (scope.since, scope.until), source=scope.source, last_on=last_on, now=now)
    frames["change"] = no_parts() if change is None else change.parts
    return Facts(scope, [scope.source] if scope.source is not None else sources, frames, key, change)


def choose_key(keys: pl.DataFrame, asked: str | None) -> str | None:
    """The key of metadata that says whose a run is: the one asked for, `customer`, or the one that most runs have.

    A key with nearly as many values as runs tells runs apart and not customers. Raises ConfigurationError if no run
    has the one asked for.
    """
    known: list[str] = keys["key"].to_list()
    if asked is not None and asked not in known:
        raise ConfigurationError(f"no run has {asked!r} in its metadata; they have: {', '.join(known) or 'nothing'}")
    shared = keys.filter(pl.col("key_values") * 2 <= pl.col("runs"))["key"].to_list()
    usual = [_USUAL_KEY] if _USUAL_KEY in known else shared
    return asked or (usual[0] if usual else None)


def _create(connection: Connection, file: SqlFile, given: Mapping[str, str | date | None]) -> None:
    connection.execute(file.text, _parameters(file, given))


def _parameters(file: SqlFile, given: Mapping[str, str | date | None]) -> dict[str, str | date | None] | None:
    """The parameters that the file declares; DuckDB takes no others."""
    return {name: given[name] for name in file.params} or None
