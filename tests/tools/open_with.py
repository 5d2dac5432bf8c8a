"""Asks a warehouse with one tool, as its documentation says: `open_with.py TOOL WAREHOUSE SQL` prints rows as JSON.

It runs where only tools are installed, so it imports nothing of ours.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

NOTEBOOK = """
import marimo
app = marimo.App()

@app.cell
def ask():
    import duckdb
    import marimo as mo
    engine = duckdb.connect({path!r}, read_only=True)
    rows = mo.sql({sql!r}, engine=engine, output=False)
    return (rows,)

if __name__ == "__main__":
    _, found = app.run()
    print(found["rows"].rows())
"""
MAGIC = """
%load_ext sql
%config SqlMagic.displaycon = False
%config SqlMagic.feedback = 0
%config SqlMagic.autopandas = False
%config SqlMagic.named_parameters = "disabled"
import duckdb
connection = duckdb.connect({path!r}, read_only=True)
%sql connection --alias warehouse
rows = %sql {sql}
print([tuple(row) for row in rows])
"""


def with_duckdb(path: str, sql: str) -> Iterable[Any]:
    """DuckDB for Python."""
    import duckdb

    with duckdb.connect(path, read_only=True) as connection:
        return list(connection.sql(sql).fetchall())


def with_cli(path: str, sql: str) -> Iterable[Any]:
    """The DuckDB shell."""
    shell = Path(sys.executable).with_name("duckdb")
    done = subprocess.run([shell, "-readonly", "-json", path, sql], check=True, capture_output=True, text=True)
    return [tuple(row.values()) for row in json.loads(done.stdout)]


def with_pandas(path: str, sql: str) -> Iterable[Any]:
    """pandas, by a connection of DuckDB."""
    import duckdb
    import pandas as pd

    with duckdb.connect(path, read_only=True) as connection:
        return list(pd.read_sql(sql, connection, coerce_float=False).itertuples(index=False, name=None))


def with_polars(path: str, sql: str) -> Iterable[Any]:
    """Polars, by a connection of DuckDB."""
    import duckdb
    import polars as pl

    with duckdb.connect(path, read_only=True) as connection:
        return pl.read_database(sql, connection).rows()


def with_ibis(path: str, sql: str) -> Iterable[Any]:
    """Ibis."""
    import ibis

    return list(ibis.duckdb.connect(path, read_only=True).sql(sql).to_polars().rows())


def with_sqlalchemy(path: str, sql: str) -> Iterable[Any]:
    """SQLAlchemy with duckdb-engine."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"duckdb:///{path}", connect_args={"read_only": True})
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(sql))]


def with_harlequin(path: str, sql: str) -> Iterable[Any]:
    """Harlequin's adapter, without its screen."""
    from harlequin_duckdb import DuckDbAdapter

    found = DuckDbAdapter((path,), read_only=True).connect().execute(sql).fetchall()
    return list(zip(*found.to_pydict().values(), strict=True))


def with_marimo(path: str, sql: str) -> Iterable[Any]:
    """A notebook of marimo, run as a script."""
    return _run("notebook.py", NOTEBOOK.format(path=path, sql=sql), [sys.executable])


def with_jupysql(path: str, sql: str) -> Iterable[Any]:
    """jupysql's magic in IPython."""
    return _run("cell.ipy", MAGIC.format(path=path, sql=sql), [sys.executable, "-m", "IPython", "--no-banner"])


def _run(name: str, text: str, command: list[str]) -> Iterable[Any]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_text(text)
        done = subprocess.run([*command, name], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    import datetime
    from decimal import Decimal

    [printed] = [line for line in done.stdout.splitlines() if line.startswith("[")]
    found: Iterable[Any] = eval(printed, {"datetime": datetime, "Decimal": Decimal})
    return found


TOOLS: dict[str, Callable[[str, str], Iterable[Any]]] = {
    name.removeprefix("with_"): tool for name, tool in list(globals().items()) if name.startswith("with_")
}

if __name__ == "__main__":
    tool, path, sql = sys.argv[1:]
    print(json.dumps([[str(value) for value in row] for row in TOOLS[tool](path, sql)]))
