"""Reads every view of a warehouse with whatever duckdb is imported; `python -m tests.read_every_view FILE`."""

import sys

import duckdb


def main(path: str) -> None:
    """Print the views that cannot be read and leave with 1, or how many could."""
    connection = duckdb.connect(path, read_only=True)
    found = connection.execute("select view_name from duckdb_views() where not internal").fetchall()
    views = [name for (name,) in found]
    broken = []
    for view in views:
        try:
            connection.execute(f"select count(*) from (from {view})").fetchall()
            connection.execute(f"create temp table seen as from {view}")
            connection.execute("drop table seen")
        except duckdb.Error as error:
            broken.append(f"{view}: {str(error).splitlines()[0]}")
    read = len(views) - len(broken)
    print(f"duckdb {duckdb.__version__}: {read} of {len(views)} views can be read", *broken, sep="\n")
    sys.exit(1 if broken or not views else 0)


if __name__ == "__main__":
    main(sys.argv[1])
