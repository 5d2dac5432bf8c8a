"""The DuckDB warehouse: opened only to load or to read, by whichever process may."""

import contextlib
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from pipeline.errors import ConfigurationError, WarehouseLockedError
from pipeline.program import command
from pipeline.sqlfiles.duck import Connection, first_line, quoted
from pipeline.sqlfiles.schema import SCHEMA_VERSION, make_warehouse, refresh_prices, renew_views
from pipeline.storage.private_files import keep_private
from pipeline.storage.writer_lock import only_writer
from pipeline.warehouse.spilling import (
    BACKGROUND_MEMORY,
    LOADING_MEMORY,
    MEMORY_VARIABLE,
    bounding,
    connect_bounded,
    sweep_spilled,
)

# A duckdb 1.5 command line opens files of this version, whichever library wrote them.
STORAGE_VERSION = "v1.5.0"
# Small row groups are written as they are loaded instead of through the log: measured, see docs/performance.md.
_STORAGE = f"storage_version '{STORAGE_VERSION}', row_group_size 8192"
# What the name of a warehouse that cannot be read ends with once it has been rebuilt.
DAMAGED = ".damaged"
_RETRY_WAIT_S = 0.2
_READ_WAIT_S = 5.0
_INTERRUPTED = "Query interrupted"
_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the database file's lock."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"process {self.pid} ({Path(self.program).name})"


def warehouse_path(data_dir: Path) -> Path:
    """The DuckDB file of a data folder."""
    return data_dir / "warehouse.duckdb"


@contextlib.contextmanager
def open_for_reading(path: Path, *, bounded: bool = False) -> Iterator[Connection]:
    """A read-only connection in UTC; `bounded` for what reads all of it, in little memory.

    Raises ConfigurationError if there is no warehouse of this version, WarehouseLockedError if a process writes to it.
    """
    if not path.exists():
        from pipeline.raw.places import holds_parts

        verb, or_ = ("load", ", or a sync that runs") if holds_parts(path.parent) else ("sync --sample", "")
        raise ConfigurationError(f"there is no warehouse at {path}: `{command(verb)}` makes one{or_}")

    attach = partial(duckdb.connect, str(path), read_only=True)
    with _heeding_interruption(), _retrying(path, wait_s=_READ_WAIT_S, attempt=attach) as connection:
        connection.execute("set TimeZone = 'UTC'")
        _check_version(connection, path)
        with bounding(connection, path) if bounded else contextlib.nullcontext():
            yield connection


@contextlib.contextmanager
def staying_open(path: Path) -> Iterator[None]:
    """Inside the block a warehouse, where there is one, costs little to open for reading: it is opened once."""
    with open_for_reading(path) if path.exists() else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def open_for_writing(path: Path, *, wait_s: float, in_background: bool = False) -> Iterator[Connection]:
    """A connection that may write, to a warehouse that has all tables and views.

    Where other processes only read, they keep the file they hold: the warehouse is copied beside it and the copy takes
    its place at the end, but not `in_background`, where little memory is used, too. Raises WarehouseLockedError,
    naming the process, when one holds it longer than `wait_s` in a way that we cannot work beside.
    """
    with _only_writer(path, wait_s=wait_s), _naming_full_disk(path):

        def attach() -> Connection:
            if not path.exists():
                # Made beside, so that a process that is killed meanwhile leaves no half of a warehouse.
                return _attach(_beside(path), unlogged=True, in_background=in_background)
            try:
                return _attach(path, in_background=in_background)
            except duckdb.Error as error:
                if in_background or find_holder(str(error)) is None:
                    raise
                return _attach_copy(path)

        with _retrying(path, wait_s=wait_s, attempt=attach) as connection:
            _prepare(connection, path)
            yield connection
            connection.execute("checkpoint warehouse")
        if _beside(path).exists():
            _replace(path)


@contextlib.contextmanager
def open_new(path: Path, *, wait_s: float) -> Iterator[Connection]:
    """A connection to an empty warehouse that takes the place of the one at `path` when the block ends well."""
    with _only_writer(path, wait_s=wait_s), _naming_full_disk(path):
        if path.exists():
            try:
                # Readers may stay; a process that writes must not have the file taken away.
                with _retrying(path, wait_s=wait_s, attempt=lambda: duckdb.connect(str(path), read_only=True)):
                    pass
            except ConfigurationError:
                # It cannot be read at all: a rebuild is what helps. The file stays beside, for whoever wants to look.
                path.replace(path.with_name(f"{path.name}{DAMAGED}"))
        with _attach(_beside(path), unlogged=True) as connection:
            _prepare(connection, path)
            yield connection
            connection.execute("checkpoint warehouse")
        _replace(path)


def find_holder(message: str) -> Holder | None:
    """The process that DuckDB's error names as holder of the lock."""
    match = _HOLDER.search(message)
    return Holder(int(match["pid"]), match["program"]) if match else None


def _attach(path: Path, *, unlogged: bool = False, in_background: bool = False) -> Connection:
    """The warehouse attached for writing; `unlogged` for a file that nobody sees before it is whole."""
    is_new = not path.exists()
    connection = connect_bounded(path, BACKGROUND_MEMORY if in_background else LOADING_MEMORY)
    options = f"{_STORAGE}, recovery_mode no_wal_writes" if unlogged else _STORAGE
    try:
        connection.execute(f"attach {quoted(str(path))} as warehouse ({options})")
    except duckdb.Error:
        connection.close()
        raise
    if is_new:
        # duckdb refuses a file that we would make for it, and has no option for its mode.
        keep_private(path)
    return connection


def _attach_copy(path: Path) -> Connection:
    """A copy beside the warehouse. The original stays attached, so that no process writes to it meanwhile."""
    connection = connect_bounded(path, LOADING_MEMORY)
    try:
        connection.execute(f"attach {quoted(str(path))} as original (read_only)")
        connection.execute(f"attach {quoted(str(_beside(path)))} as warehouse ({_STORAGE})")
        keep_private(_beside(path))
        connection.execute("copy from database original to warehouse")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: Connection, path: Path) -> None:
    from pipeline.sqlfiles.price_book import own_prices_path, read_price_book

    connection.execute("use warehouse")
    connection.execute("set TimeZone = 'UTC'")
    tables = connection.execute("select table_name from duckdb_tables() where database_name = 'warehouse'")
    if not tables.fetchall():
        make_warehouse(connection)
    _check_version(connection, path)
    renew_views(connection)
    refresh_prices(connection, read_price_book(own_prices_path(path.parent)))


def _check_version(connection: Connection, path: Path) -> None:
    try:
        [(found,)] = connection.execute("select max(version) as version from schema_version").fetchall()
    except duckdb.CatalogException:
        found = None
    if found != SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} has schema version {found}, this program works with {SCHEMA_VERSION}:"
            f" {_advise(path, f'query it with {_writer_of(connection)}')}"
        )


def _writer_of(connection: Connection) -> str:
    with contextlib.suppress(duckdb.Error):
        sql = "select pipeline_version from schema_version order by version desc"
        [(version,), *_] = connection.execute(sql).fetchall()
        return f"run-steps-pipeline {version}, which wrote it"
    return "the version of this program that wrote it"


def _advise(path: Path, else_: str) -> str:
    from pipeline.raw.parts import RawStore
    from pipeline.raw.places import RAW
    from pipeline.raw.prune_record import advise_rebuild

    return advise_rebuild(RawStore(path.parent / RAW), else_)


@contextlib.contextmanager
def _retrying(path: Path, *, wait_s: float, attempt: Callable[[], Connection]) -> Iterator[Connection]:
    """The connection that `attempt` gives, tried again while another process holds the file."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection = attempt()
            break
        except duckdb.Error as error:
            holder = find_holder(str(error))
            if holder is None:
                raise ConfigurationError(
                    f"cannot open the warehouse {path}: {first_line(error).rstrip('.!')}:"
                    f" {_advise(path, 'restore a copy of the file')}"
                ) from error
            if time.monotonic() >= deadline:
                raise WarehouseLockedError(
                    f"the warehouse {path} is held by {holder}: close it there, or wait"
                ) from error
        time.sleep(_RETRY_WAIT_S)
    with connection:
        yield connection


@contextlib.contextmanager
def _only_writer(path: Path, *, wait_s: float) -> Iterator[None]:
    """Nobody else of this program writes to the warehouse; what a dead writer left beside it is swept."""
    with only_writer(path, wait_s=wait_s):
        for left in (_beside(path), _wal(_beside(path))):
            left.unlink(missing_ok=True)
        sweep_spilled(path, _beside(path))
        try:
            yield
        finally:
            sweep_spilled(path, _beside(path))


@contextlib.contextmanager
def _naming_full_disk(path: Path) -> Iterator[None]:
    """Raises ConfigurationError where duckdb cannot write: after a failed write all that follows fails as well."""
    try:
        with _heeding_interruption():
            yield
    except duckdb.OutOfMemoryException as error:
        raise ConfigurationError(
            f"the load needs more memory than it may take ({first_line(error)}): set {MEMORY_VARIABLE}, such as 1GB,"
            " and run the same command again; raw parts are kept"
        ) from error
    except (duckdb.IOException, duckdb.FatalException) as error:
        raise ConfigurationError(
            f"cannot write the warehouse {path}: {first_line(error)}. It is as it was before this load; raw parts are"
            f" kept: make room, then run the same command again or `{command('load')}`"
        ) from error


@contextlib.contextmanager
def _heeding_interruption() -> Iterator[None]:
    """Raises KeyboardInterrupt for Ctrl-C, of which duckdb makes an error while it works."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != _INTERRUPTED:
            raise
        raise KeyboardInterrupt from error


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _replace(path: Path) -> None:
    if path.exists():
        # Somebody may have opened it to a group on purpose.
        keep_private(_beside(path), stat.S_IMODE(path.stat().st_mode))
    _beside(path).replace(path)
    # The log belongs to the file that has just gone; its content was copied.
    _wal(path).unlink(missing_ok=True)


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")
