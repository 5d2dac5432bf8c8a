"""Frames and query results that show nothing but their Arrow stream.

DuckDB reads such a frame without importing pyarrow. Polars keeps the class of everything it converts until after the
interpreter has ended; were it one of DuckDB's, or one whose module imports duckdb, duckdb 2.0.0 would call that a leak
on stderr. So this module must not import duckdb.
"""

from dataclasses import dataclass
from typing import Protocol


class HasArrowStream(Protocol):
    """Anything of the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


@dataclass(slots=True)
class ArrowStream:
    """The Arrow stream of its owner, who may be replaced, and nothing else."""

    owner: HasArrowStream

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The owner's stream, anew for each reader."""
        return self.owner.__arrow_c_stream__(requested_schema)
