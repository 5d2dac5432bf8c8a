"""Results as plain values by column, without frames: as text what they have no type for, and so in frames, too."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

Type = Any  # duckdb.sqltypes has no stubs that hold for 1.5 and 2.0
Relation = duckdb.DuckDBPyRelation

_INSTANTS = frozenset({"date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp with time zone"})
# What Polars holds as it is. It panics on intervals and unions, makes -1 of a large UHUGEINT and null of 24:00:00, and
# writes no bytes; maps of it have texts for keys in JSON. Python's instants have no nanoseconds.
_KEPT = _INSTANTS | {
    "boolean",
    *("tinyint", "smallint", "integer", "bigint", "hugeint"),
    *("utinyint", "usmallint", "uinteger", "ubigint"),
    *("float", "double", "decimal", "varchar", "uuid"),
}
_NESTED = frozenset({"list", "array", "map", "struct", "union"})
_TEXT = "VARCHAR"
# Exact numbers of more digits are texts.
LONGEST_NUMBER = 10**38
# duckdb 1.x makes instants of a time zone with pytz, which need not be there.
_WITHOUT_ZONES = duckdb.__version__.startswith("1.")


def read_values(relation: Relation) -> dict[str, list[Any]] | None:
    """The values of each column, under a name of its own; None where it takes frames to tell them exactly.

    That is what is nested, an instant of no calendar (infinity, the year 10000), a whole number of 39 digits.
    """
    kinds = [dtype.id for dtype in relation.types]
    if _NESTED & set(kinds) or (_WITHOUT_ZONES and "timestamp with time zone" in kinds):
        return None
    rows = as_kept(relation, _KEPT - {"uuid"}).fetchall()
    names = distinct_names(relation.columns)
    columns = (
        dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in names}
    )
    for name, kind in zip(names, kinds, strict=True):
        told = [value for value in columns[name] if value is not None]
        if (kind in _INSTANTS and any(map(_is_odd, told))) or (
            kind == "hugeint" and any(abs(value) >= LONGEST_NUMBER for value in told)
        ):
            return None
        if kind == "hugeint":
            columns[name] = [value if value is None else Decimal(value) for value in columns[name]]
    return columns


def _is_odd(instant: object) -> bool:
    """Whether it may be no instant of the calendar: DuckDB gives a text then, or the first or last one for infinity."""
    if not isinstance(instant, date):
        return True
    day = instant.date() if isinstance(instant, datetime) else instant
    return day in (date.min, date.max)


def as_kept(relation: Relation, kept: frozenset[str] = _KEPT, *, texts: Sequence[int] = ()) -> Relation:
    """The columns under names of their own, with texts where a type is not `kept`.

    Those at `texts` have texts for instants and for whole numbers of most digits, too.
    """
    columns = []
    for place, (name, found) in enumerate(zip(distinct_names(relation.columns), relation.types, strict=True)):
        dtype = _kept_type(found, kept - _INSTANTS - {"hugeint"} if place in texts else kept)
        column = f"#{place + 1}" if dtype == str(found) else f"cast(#{place + 1} as {dtype})"
        columns.append(f"{column} as {_quoted(name)}")
    return relation.project(", ".join(columns))


def _kept_type(dtype: Type, kept: frozenset[str]) -> str:
    """The type to cast to, in SQL: the same, with texts at the places of what is not kept."""
    children = dict(dtype.children) if dtype.id in {"list", "array", "map"} else {}
    if dtype.id == "list":
        return f"{_kept_type(children['child'], kept)}[]"
    if dtype.id == "array":
        return f"{_kept_type(children['child'], kept)}[{children['size']}]"
    if dtype.id == "map":
        return f"MAP({_TEXT}, {_kept_type(children['value'], kept)})"
    if dtype.id == "struct" and dtype.children and all(name for name, _ in dtype.children):
        fields = ", ".join(f"{_quoted(name)} {_kept_type(child, kept)}" for name, child in dtype.children)
        return f"STRUCT({fields})"
    return str(dtype) if dtype.id in kept else _TEXT


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names that occur again are numbered: n, n_2, n_3."""
    distinct: dict[str, None] = {}
    for name in names:
        number, candidate = 1, name
        while candidate in distinct or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        distinct[candidate] = None
    return list(distinct)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
