"""Results of any types as frames that every format can write: as text what Polars has no type or no value for."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from pipeline.sqlfiles.arrow import ArrowStream

Type = Any  # duckdb.sqltypes has no stubs that hold for 1.5 and 2.0

_INSTANTS = frozenset(
    {
        "date",
        "timestamp",
        "timestamp_s",
        "timestamp_ms",
        "timestamp with time zone",
    }
)
# What Polars holds as it is. It panics on intervals and unions, makes -1 of a large UHUGEINT and null of 24:00:00, and
# writes no bytes; maps of it have texts for keys in JSON. Python's instants have no nanoseconds.
_KEPT = _INSTANTS | {
    "boolean",
    *("tinyint", "smallint", "integer", "bigint", "hugeint"),
    *("utinyint", "usmallint", "uinteger", "ubigint"),
    *("float", "double", "decimal", "varchar", "uuid"),
}
_TEXT = "VARCHAR"
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
_EPOCH = date(1970, 1, 1).toordinal()
_LONGEST_NUMBER = 10**38
# Below what stands for infinity.
_LARGEST = 2**63 - 2
_FIRST_DAY, _LAST_DAY = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH


def read_result(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """The result with a name of its own for each column.

    In a column with an instant of no calendar instants are texts, and with a whole number of 39 digits those are.
    """
    names = _distinct(relation.columns)
    frame = _read(relation, names)
    odd = [place for place, column in enumerate(frame.iter_columns()) if any(map(_is_odd, leaves(column)))]
    return _read(relation, names, texts=odd) if odd else frame


def leaves(column: pl.Series) -> Iterator[pl.Series]:
    """The plain values of a column at any depth, without nulls."""
    dtype = column.dtype
    if isinstance(dtype, pl.Struct):
        for field in column.struct.unnest().iter_columns() if dtype.fields else ():
            yield from leaves(field)
    elif isinstance(dtype, pl.Map):
        yield from leaves(column.cast(pl.List(pl.Struct({"key": dtype.key, "value": dtype.value}))))
    elif isinstance(dtype, (pl.List, pl.Array)):
        yield from leaves(column.explode())
    else:
        yield column.drop_nulls()


def _read(relation: duckdb.DuckDBPyRelation, names: Sequence[str], *, texts: Sequence[int] = ()) -> pl.DataFrame:
    """The columns under these names; those at `texts` have texts for instants and the longest whole numbers."""
    kept = [_KEPT - _INSTANTS - {"hugeint"} if place in texts else _KEPT for place in range(len(names))]
    types = [_kept_type(dtype, of) for dtype, of in zip(relation.types, kept, strict=True)]
    columns = (
        f"{f'#{place}' if dtype == str(found) else f'cast(#{place} as {dtype})'} as {_quoted(name)}"
        for place, (name, dtype, found) in enumerate(zip(names, types, relation.types, strict=True), start=1)
    )
    return pl.DataFrame(ArrowStream(relation.project(", ".join(columns))))


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


def _is_odd(values: pl.Series) -> bool:
    """Whether something lies outside of the calendar of Python, which ends with the year 9999, as infinity does.

    Or, of a whole number, outside of the digits that Polars gives exactly.
    """
    if isinstance(values.dtype, pl.Decimal):
        largest = values.abs().max() if values.dtype.scale == 0 else None
        return isinstance(largest, Decimal) and largest >= _LONGEST_NUMBER
    if values.dtype == pl.Date:
        per_day = 1
    elif isinstance(values.dtype, pl.Datetime):
        per_day = _PER_DAY[values.dtype.time_unit]
    else:
        return False
    first, last = max(_FIRST_DAY * per_day, -_LARGEST), min((_LAST_DAY + 1) * per_day - 1, _LARGEST)
    return not values.to_physical().is_between(first, last).all()


def _distinct(names: Sequence[str]) -> list[str]:
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
