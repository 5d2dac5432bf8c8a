"""Views that many things read, worked out once for all of them.

DuckDB plans a view anew wherever it is read, with everything below it: a check of a small warehouse was planning for
most of its time. For a block, such views are tables of the connection.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator

from pipeline.sqlfiles.catalog import SqlFile, views_in_order
from pipeline.sqlfiles.duck import Connection

# Whatever is read by more than one is worked out once.
_SHARED_BY = 2
_DEFINITIONS = "select view_name, sql from duckdb_views() where database_name = current_database() and not internal"
_HELD = "select view_name from duckdb_views() where database_name = 'temp' and not internal"


@contextlib.contextmanager
def holding_views(connection: Connection, readers: Iterable[SqlFile]) -> Iterator[None]:
    """Inside the block, views that two or more of these files or of the views below them read are tables.

    They are made from the warehouse's own views, and say what these said when the block began: nothing may be written
    to it meanwhile. A block inside such a block changes nothing.
    """
    readers = list(readers)
    views = [] if connection.execute(_HELD).fetchall() else _views_below(readers)
    counts = Counter(read for file in [*views, *(one for one in readers if one not in views)] for read in file.reads)
    definitions = dict(connection.execute(_DEFINITIONS).fetchall()) if views else {}
    made: list[str] = []
    try:
        for name in [view.name for view in views if view.name in definitions]:
            kind = "table" if counts[name] >= _SHARED_BY else "view"
            connection.execute(definitions[name].replace(f"CREATE VIEW {name}", f"create temp {kind} {name}", 1))
            made.append(f"drop {kind} temp.{name}")
        yield
    finally:
        for statement in reversed(made):
            connection.execute(statement)


def _views_below(readers: list[SqlFile]) -> list[SqlFile]:
    """The readers that are views, what all of them read and what that reads, each after what it reads."""
    in_order = views_in_order()
    wanted = {read for reader in readers for read in reader.reads}
    wanted |= {view.name for view in in_order if view in readers}
    for view in reversed(in_order):
        wanted |= set(view.reads) if view.name in wanted else set()
    return [view for view in in_order if view.name in wanted]
