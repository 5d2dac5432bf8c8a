"""Checks of the warehouse: every file of `sql/checks/`, and the declared grain of every table and view."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import polars as pl

from pipeline.console.tables import count_of, format_decimal
from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, has_rows, read_frame
from pipeline.sqlfiles.held_views import holding_views
from pipeline.sqlfiles.near_names import did_you_mean
from pipeline.sqlfiles.schema import TABLE_KINDS

Level = Literal["warn", "fail"]
_EXAMPLES = 3
_CENT_DIGITS = 2
_UNPRICED = "unpriced_models"
# Ids of responses are nobody else's. Those of runs and turns may be numbered in their thread: such a run is doubted
# where it does not say of which thread it is, and is there under another with the same instants, usage and metadata.
# Grain: one run, with all threads of the source that have it.
_TWINS = """
with asked as (
    select thread_id, run_id from runs
    where source = $source and ($sync_id is null or walk_id in (select walk_id from walks where sync_id = $sync_id))
)
select runs.run_id, any_value(runs.protocol) as protocol,
    list_sort(list_distinct(list(runs.thread_id) || list(others.thread_id))) as thread_ids
from runs
inner join asked on asked.thread_id = runs.thread_id and asked.run_id = runs.run_id
inner join runs as others
    on others.source = $source and others.run_id = runs.run_id and others.thread_id <> runs.thread_id
    and others.protocol = runs.protocol
where runs.source = $source and (
    runs.protocol = 'responses' or (
        (list_contains($nameless, runs.thread_id) or list_contains($nameless, others.thread_id))
        and runs.created_at = others.created_at
        and (runs.started_at, runs.completed_at, runs.status, runs.model, runs.total_tokens, runs.metadata)
            is not distinct from
            (others.started_at, others.completed_at, others.status, others.model, others.total_tokens, others.metadata)
    )
)
group by runs.run_id, runs.created_at
order by runs.run_id
"""
# Grain: one of these ids of runs that several threads have.
_SHARED_IDS = """
select run_id, list(thread_id order by thread_id) as thread_ids
from runs where source = $source and run_id in (select unnest($run_ids))
group by run_id having count(*) > 1
order by run_id
"""
_NOUNS = {"responses": "response", "agents": "turn"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at; `rows` is how many rows offend (None: nothing to count)."""

    kind: Literal["check", "grain", "budget"]
    name: str
    level: Level
    message: str
    rows: int | None = None

    @property
    def line(self) -> str:
        """One line for a terminal or a log."""
        return f"{self.level}  {self.kind} {self.name}: {self.message}"


@dataclass(frozen=True, slots=True)
class TwinRun:
    """One run that several threads have."""

    run_id: str
    noun: str
    thread_ids: tuple[str, ...]


@contextlib.contextmanager
def checking(connection: Connection) -> Iterator[None]:
    """Inside the block all checks together take little more than one: what they read is worked out at its begin."""
    with holding_views(connection, [*read_sql_files("checks").values(), *read_sql_files("views").values()]):
        yield


def run_checks(connection: Connection) -> list[Finding]:
    """What the checks of `sql/checks/` found, the failing ones first."""
    checks = read_sql_files("checks").values()
    with checking(connection):
        findings = [finding for check in checks if (finding := _run_check(connection, check))]
    return sorted(findings, key=lambda finding: (finding.level != "fail", finding.name))


def run_check(connection: Connection, name: str) -> Finding | None:
    """What one check found, if anything."""
    return _run_check(connection, read_sql_files("checks")[name])


def check_grains(connection: Connection) -> list[Finding]:
    """Tables and views with rows that are doubles at their declared grain; nulls are equal to each other."""
    objects = [found for kind in (*TABLE_KINDS, "views") for found in read_sql_files(kind).values()]
    with checking(connection):
        return [finding for found in objects if found.grain and (finding := _check_grain(connection, found))]


def find_twins(
    connection: Connection, *, source: str, sync_id: str | None = None, nameless: Collection[str] = ()
) -> list[TwinRun]:
    """Runs of a source that stand in two threads and are one; of a sync those that it has seen.

    Runs of `nameless` threads do not say whose they are.
    """
    asked = {"source": source, "sync_id": sync_id, "nameless": sorted(nameless)}
    rows = read_frame(connection, _TWINS, asked).rows()
    return [TwinRun(run_id, _NOUNS.get(protocol, "run"), tuple(threads)) for run_id, protocol, threads in rows]


def threads_of_ids(connection: Connection, run_ids: Sequence[str], *, source: str) -> dict[str, list[str]]:
    """The threads of each of these ids of runs that more than one thread of the source has."""
    if not run_ids:
        return {}
    rows = read_frame(connection, _SHARED_IDS, {"source": source, "run_ids": list(run_ids)}).rows()
    return dict(rows)


def _run_check(connection: Connection, check: SqlFile) -> Finding | None:
    # Mostly there are none, and what is read as a frame DuckDB plans twice.
    if not has_rows(connection, f"({check.text.strip().removesuffix(';')})"):
        return None
    rows = read_frame(connection, check.text)
    columns = [name for name in rows.columns if name.endswith(("_id", "model", "level", "id"))][:3] or rows.columns[:2]
    examples = ", ".join(" ".join(str(value) for value in row) for row in rows.select(columns).head(_EXAMPLES).rows())
    summary = check.summary.rstrip(".")
    more = ", ..." if rows.height > _EXAMPLES else ""
    message = f"{count_of(rows.height, 'rows')}: {summary} ({examples}{more}){_sum_of(rows, check)}"
    if check.name == _UNPRICED:
        message += _nearest(connection, rows["model"].drop_nulls().unique(maintain_order=True).to_list())
    level: Level = "warn" if check.fields.get("severity") == "warn" else "fail"
    return Finding("check", check.name, level, message, rows.height)


def _sum_of(rows: pl.DataFrame, check: SqlFile) -> str:
    """What a check that declares a `sum:` of dollars comes to, in words."""
    name = check.fields.get("sum")
    total = Decimal(0) if name is None else sum(rows[name].drop_nulls(), Decimal(0))
    return f", together {format_decimal(total, least_digits=_CENT_DIGITS)} USD" if total else ""


def _nearest(connection: Connection, names: list[str]) -> str:
    """What the first of the names may have meant."""
    priced = read_frame(connection, "select distinct model from prices")["model"].to_list()
    hints = [f"{name}: {hint}" for name in names[:_EXAMPLES] if (hint := did_you_mean(name, priced))]
    return f"; {'; '.join(hints)}" if hints else ""


def _check_grain(connection: Connection, found: SqlFile) -> Finding | None:
    grain = ", ".join(found.grain)
    sql = f"select {grain}, count(*) as doubles from {found.name} group by {grain} having count(*) > 1 limit 1000"
    rows = connection.execute(sql).fetchall()
    if not rows:
        return None
    example = " ".join(str(value) for value in rows[0][:-1])
    message = f"there more than once: {count_of(len(rows), 'keys')} of ({grain}), for example {example}"
    return Finding("grain", found.name, "fail", message, len(rows))
