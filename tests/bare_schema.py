"""Warehouses of tests are made without comments on their columns, which take half the time of making one."""

from pipeline.sqlfiles import schema
from pipeline.sqlfiles.duck import Connection

WRITE_COMMENTS = schema.write_comments


def leave_out_comments() -> None:
    """In this process, from here on; tests/sqlfiles/test_comments.py has them written."""
    schema.write_comments = _write_none


def _write_none(connection: Connection, *kinds: str) -> None:
    pass
