"""How much memory DuckDB may take for a warehouse, and the private folders beside it for what does not fit."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb

from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.duck import Connection, first_line, quoted
from pipeline.storage.private_files import aside_of, find_left, is_dead, make_private_folder

MEMORY_VARIABLE = "PIPELINE_LOAD_MEMORY"
# What a load may hold of DuckDB's, beside its frames: more is somewhat faster, and grows with the warehouse. Less while
# others fetch: what finds that too small, the load at the end of a sync takes.
LOADING_MEMORY = "256MB"
BACKGROUND_MEMORY = "128MB"
# What is read whole, as a check does: without a bound DuckDB keeps whatever it has read.
_READING_MEMORY = "200MB"


def connect_bounded(path: Path, memory: str) -> Connection:
    """A connection for a load of the warehouse at `path`, which holds the only writer's folder."""
    folder = _spill_folder(path)
    make_private_folder(folder)
    limit = os.environ.get(MEMORY_VARIABLE, memory)
    try:
        return duckdb.connect(config={"memory_limit": limit, "temp_directory": str(folder)})
    except duckdb.Error as error:
        raise _bad_limit(limit, error) from error


@contextlib.contextmanager
def bounding(connection: Connection, path: Path) -> Iterator[None]:
    """Inside the block a connection that reads the warehouse takes little memory if the rest can have a folder."""
    folder = aside_of(_spill_folder(path))
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        # A disk that nobody may write to: what DuckDB takes then is up to it.
        yield
        return
    limit = os.environ.get(MEMORY_VARIABLE, _READING_MEMORY)
    try:
        connection.execute(f"set temp_directory = {quoted(str(folder))}")
        try:
            connection.execute(f"set memory_limit = {quoted(limit)}")
        except duckdb.Error as error:
            raise _bad_limit(limit, error) from error
        yield
    except duckdb.OutOfMemoryException as error:
        raise ConfigurationError(
            f"this needs more memory than it may take ({first_line(error)}): set {MEMORY_VARIABLE}, such as 1GB, and"
            " run the same command again"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_spilled(*paths: Path) -> None:
    """Remove what a writer put aside for these files, and readers that have died: for whoever is the only writer."""
    for path in paths:
        folder = _spill_folder(path)
        dead = [left for left in find_left(folder.parent, f"{folder.name}*") if is_dead(left)]
        for left in (folder, *dead):
            shutil.rmtree(left, ignore_errors=True)


def _spill_folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.spill")


def _bad_limit(limit: str, error: duckdb.Error) -> ConfigurationError:
    return ConfigurationError(f"{MEMORY_VARIABLE} = {limit!r}: {first_line(error)}; an example is 512MB")
