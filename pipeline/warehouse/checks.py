"""Checks of the warehouse: every file of `sql/checks/`, and the declared grain of every table and view."""

import contextlib
from collections.abc import Iterator
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
