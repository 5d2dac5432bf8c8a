"""What one reader finds in every table of a lake: `python read_with.py READER < questions.json` there prints JSON.

It runs where only readers are installed, so it imports nothing of ours.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

# By table: a column of its key, a value of it, and the columns to sum.
Question = Mapping[str, Any]
Answer = dict[str, Any]
# In SQL each reader's way to name a table is put into it.
SQL = """
select (select count(*) from {table}) as found, (select count(*) from {table} where {column} = {value}) as filtered,
    (select count(*) from {table} as a join {table} as b on a.{column} = b.{column}) as joined,
    (select max({column}) from {table}) as latest{sums}
"""


def _sql(table: str, asked: Question) -> str:
    sums = "".join(f", (select sum({name}) from {table}) as sum_{name}" for name in asked["sums"])
    value = asked["value"] if isinstance(asked["value"], int) else f"'{asked['value']}'"
    return SQL.format(table=table, column=asked["column"], value=value, sums=sums)


def _answer(row: Any, asked: Question) -> Answer:
    rows, filtered, joined, last, *sums = row
    return {
        "rows": int(rows),
        "filtered": int(filtered),
        "joined": int(joined),
        "last": str(last),
        "sums": {name: str(value or 0) for name, value in zip(asked["sums"], sums, strict=True)},
    }


def with_pyarrow(place: str, asked: Question) -> Answer:
    """deltalake's own way to pyarrow."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    data = DeltaTable(place).to_pyarrow_dataset()
    table, column = data.to_table(), asked["column"]
    joined = table.select([column]).join(table.select([column]), column, join_type="inner")
    last = table.sort_by([(column, "descending")])[column][0].as_py()
    sums = [pc.sum(table[name]).as_py() for name in asked["sums"]]
    return _answer(
        (table.num_rows, data.count_rows(pc.field(column) == asked["value"]), len(joined), last, *sums), asked
    )


def with_pandas(place: str, asked: Question) -> Answer:
    """deltalake's own way to pandas."""
    from deltalake import DeltaTable

    table, column = DeltaTable(place).to_pandas(), asked["column"]
    joined = table[[column]].merge(table[[column]], on=column)
    last = table.sort_values(column)[column].iloc[-1]
    filtered = (table[column] == asked["value"]).sum()
    return _answer((len(table), filtered, len(joined), last, *(table[name].sum() for name in asked["sums"])), asked)


def with_daft(place: str, asked: Question) -> Answer:
    """Daft's reader of Delta tables."""
    import daft

    table, column = daft.read_deltalake(place), asked["column"]
    joined = table.select(column).join(table.select(daft.col(column)), on=column).count_rows()
    last = table.sort(column).to_pydict()[column][-1]
    summed = table.sum(*asked["sums"]).to_pydict() if asked["sums"] else {}
    sums = [values[0] for values in summed.values()]
    filtered = table.where(daft.col(column) == asked["value"]).count_rows()
    return _answer((table.count_rows(), filtered, joined, last, *sums), asked)


def with_polars(place: str, asked: Question) -> Answer:
    """Polars' scan of Delta tables."""
    import polars as pl

    table, column = pl.scan_delta(place), asked["column"]
    joined = table.select(column).join(table.select(column), on=column).collect().height
    last = table.select(column).sort(column).last().collect().item()
    sums = table.select(pl.col(asked["sums"]).sum()).collect().row(0) if asked["sums"] else []
    filtered = table.filter(pl.col(column) == asked["value"]).collect().height
    return _answer((table.collect().height, filtered, joined, last, *sums), asked)


def with_datafusion(place: str, asked: Question) -> Answer:
    """DataFusion, which deltalake gives the table to."""
    import datafusion
    from deltalake import DeltaTable

    context = datafusion.SessionContext()
    context.register_table("asked", DeltaTable(place))
    return _answer(list(context.sql(_sql("asked", asked)).to_pylist()[0].values()), asked)


def with_chdb(place: str, asked: Question) -> Answer:
    """ClickHouse, by its own code for the log."""
    import chdb

    table = f"deltaLakeLocal('{place}')"
    query = _sql(table, asked) + " settings allow_delta_kernel_rs = 0, output_format_json_quote_64bit_integers = 1"
    # Sums of decimals are numbers in JSON otherwise.
    query += ", output_format_json_quote_decimals = 1"
    return _answer(json.loads(chdb.query(query, "JSONCompactEachRow").bytes()), asked)


def with_duckdb(place: str, asked: Question) -> Answer:
    """DuckDB by the Arrow dataset of deltalake: its own extension would have to be downloaded."""
    import duckdb
    from deltalake import DeltaTable

    with duckdb.connect() as connection:
        connection.register("asked", DeltaTable(place).to_pyarrow_dataset())
        return _answer(connection.execute(_sql("asked", asked)).fetchone(), asked)


READERS: dict[str, Callable[[str, Question], Answer]] = {
    "pyarrow": with_pyarrow,
    "pandas": with_pandas,
    "daft": with_daft,
    "polars": with_polars,
    "datafusion": with_datafusion,
    "chdb": with_chdb,
    "duckdb": with_duckdb,
}

if __name__ == "__main__":
    read = READERS[sys.argv[1]]
    print(json.dumps({table: read(table, question) for table, question in json.load(sys.stdin).items()}), flush=True)
    # At the interpreter's own end the threads of pyarrow abort it now and then.
    os._exit(0)
