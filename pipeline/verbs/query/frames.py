"""Results of any types as frames that every format can write: as text what Polars has no type or no value for."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import duckdb
import polars as pl

from pipeline.sqlfiles.arrow import ArrowStream
from pipeline.verbs.query.values import LONGEST_NUMBER, as_kept

_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
_EPOCH = date(1970, 1, 1).toordinal()
# Below what stands for infinity.
_LARGEST = 2**63 - 2
_FIRST_DAY, _LAST_DAY = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH


def read_result(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """The result with a name of its own for each column.

    In a column with an instant of no calendar instants are texts, and with a whole number of 39 digits those are.
    """
    frame = pl.DataFrame(ArrowStream(as_kept(relation)))
    odd = [place for place, column in enumerate(frame.iter_columns()) if any(map(_is_odd, leaves(column)))]
    return pl.DataFrame(ArrowStream(as_kept(relation, texts=odd))) if odd else frame


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


def _is_odd(values: pl.Series) -> bool:
    """Whether something lies outside of the calendar of Python, which ends with the year 9999, as infinity does.

    Or, of a whole number, outside of the digits that Polars gives exactly.
    """
    if isinstance(values.dtype, pl.Decimal):
        largest = values.abs().max() if values.dtype.scale == 0 else None
        return isinstance(largest, Decimal) and largest >= LONGEST_NUMBER
    if values.dtype == pl.Date:
        per_day = 1
    elif isinstance(values.dtype, pl.Datetime):
        per_day = _PER_DAY[values.dtype.time_unit]
    else:
        return False
    first, last = max(_FIRST_DAY * per_day, -_LARGEST), min((_LAST_DAY + 1) * per_day - 1, _LARGEST)
    return not values.to_physical().is_between(first, last).all()
