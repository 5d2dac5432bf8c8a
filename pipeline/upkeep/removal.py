"""Forgetting: threads, or contents kept in full, leave raw parts, flattened parts and the warehouse for good.

The record of forgotten threads comes first, the raw parts one by one after it, the warehouse last. Whatever dies
between, the same command again finishes it: what the record names is removed wherever it is still found.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import polars as pl

from pipeline.errors import ConfigurationError, DamagedPartError, IncompleteError, PipelineError
from pipeline.flatten.cache import FlatStore
from pipeline.privacy.forget_record import Forgotten, add_forgotten
from pipeline.privacy.hiding import ContentKey
from pipeline.program import command
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.prune_record import drop_texts
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, attached, read_frame, register
from pipeline.upkeep.data_folder import DataFolder, Unreadable
from pipeline.upkeep.removal_targets import Target
from pipeline.warehouse.database import open_new
from pipeline.warehouse.load import rebuild
from pipeline.warehouse.loaded_parts import refuse_if_pruned, sweep_leftovers
from pipeline.warehouse.part_rewriting import Rewrite, parts_of, rewrite_part, with_contents_hidden, without_threads

_UNFINISHED = (
    "The forgetting is not finished: raw parts and the warehouse may still hold the threads, nothing fetches them"
    " again. Run the same command again; a sync that names them would bring them back"
)
# Tables that a new warehouse has rows in before anything is copied into it.
_OWN_ROWS = frozenset({"prices", "price_discounts", "fees", "schema_version"})

# The rows of a table that has threads which stay.
_IS_KEPT = "thread_id is null or (source, thread_id) not in (select (source, thread_id) from forgotten_threads)"


def forget_threads(folder: DataFolder, targets: Sequence[Target], unreadable: Unreadable, *, now: datetime) -> int:
    """Remove the threads everywhere, and what nobody can look into; how many raw parts were rewritten.

    An error that comes once the record is written says that the forgetting is not finished.
    """
    threads = ((target.source, target.thread_id) for target in targets)
    forgotten = add_forgotten(folder.data_dir, threads, now=now)
    with _saying_unfinished():
        _remove_needless(folder, unreadable)
        drop_texts(folder.store)
        seen: set[PartName] = set()
        rewritten = _leave_out(folder.store, forgotten, seen)
        _rewrite_warehouse(folder, forgotten)
        # What a sync has landed meanwhile.
        rewritten += _leave_out(folder.store, forgotten, seen)
    return rewritten


def forget_contents(folder: DataFolder, source: str, key: ContentKey) -> int:
    """Hide what a source still holds in full; how many raw parts were rewritten.

    The warehouse is rebuilt from them. Raises ConfigurationError or IncompleteError, with nothing changed, where it
    could not be: parts were pruned or are damaged.
    """
    folder.load()
    refuse_if_pruned(folder.store, folder.warehouse)
    unreadable = folder.unreadable()
    if unreadable.parts:
        raise IncompleteError(
            f"nothing was hidden: the raw part {folder.store.where(unreadable.parts[0])} is not what was written, so"
            f" that the warehouse could not be made anew. Remove it, run `{command('load --rebuild --forget-pruned')}`"
            " and `sync --full` for its threads, then this again"
        )
    _remove_needless(folder, unreadable)
    drop_texts(folder.store)
    parts = parts_of(folder.store, source)
    rewritten = sum(_rewrite(folder.store, part, lambda rows: with_contents_hidden(rows, key)) for part in parts)
    rebuild(folder.store, folder.warehouse, wait_s=folder.lock_wait_s)
    return rewritten


@contextmanager
def _saying_unfinished() -> Iterator[None]:
    try:
        yield
    except PipelineError as error:
        raise type(error)(f"{error}. {_UNFINISHED}") from error


def _leave_out(store: RawStore, forgotten: Forgotten, seen: set[PartName]) -> int:
    """Rewrite parts that are not `seen` yet without the threads; how many had some of theirs."""
    parts = [part for part in parts_of(store, None) if part not in seen]
    seen.update(parts)
    return sum(_rewrite(store, part, lambda rows: without_threads(rows, forgotten)) for part in parts)


def _rewrite(store: RawStore, part: PartName, rewrite: Rewrite) -> bool:
    """As `rewrite_part`. Raises IncompleteError for a part that has been damaged since it was looked at."""
    try:
        return rewrite_part(store, part, rewrite)
    except DamagedPartError:
        raise IncompleteError(f"the raw part {store.where(part)} is not what was written any more") from None


def _rewrite_warehouse(folder: DataFolder, forgotten: Forgotten) -> None:
    """Copy everything else into a new file: rows that are deleted stay in the old file's blocks."""
    with (
        open_new(folder.warehouse, wait_s=folder.lock_wait_s) as connection,
        attached(connection, folder.warehouse, "kept"),
    ):
        _register_forgotten(connection, forgotten)
        for name, table in (read_sql_files("tables") | read_sql_files("stored")).items():
            if name not in _OWN_ROWS:
                where = _IS_KEPT if "thread_id" in table.columns else "true"
                connection.execute(f"insert into {name} by name select columns(*) from kept.{name} where {where}")
        _refresh_parts(connection, folder.store)


def _register_forgotten(connection: Connection, forgotten: Forgotten) -> None:
    """Make the relation forgotten_threads."""
    known = read_frame(
        connection,
        "select distinct source, thread_id from (select source, thread_id from kept.threads"
        " union all select source, thread_id from kept.walks union all select source, thread_id from kept.runs"
        " union all select source, thread_id from kept.run_steps) as rows where thread_id is not null",
    )
    gone = [thread for thread in known.iter_rows() if forgotten.has(*thread)]
    threads = pl.DataFrame(gone, schema={"source": pl.String, "thread_id": pl.String}, orient="row")
    register(connection, "forgotten_threads", threads)


def _refresh_parts(connection: Connection, store: RawStore) -> None:
    """Let `loaded_parts` say of rewritten parts what is in them now."""
    held = dict(read_frame(connection, "select part, size_bytes from loaded_parts").iter_rows())
    for name in store.list_parts():
        if name.name in held and held[name.name] != store.size_bytes(name):
            part = store.read_part(name)
            pages = sum(len(walk.pages) for walk in part.walks)
            connection.execute(
                "update loaded_parts set page_count = ?, walk_count = ?, size_bytes = ?, landed_at = ? where part = ?",
                [pages, len(part.walks), part.size_bytes, part.landed_at, name.name],
            )


def _remove_needless(folder: DataFolder, unreadable: Unreadable) -> None:
    """Remove what nobody needs and what may hold anything: half written, unreadable, and flattened parts."""
    sweep_leftovers(folder.store)
    for part in unreadable.parts:
        folder.store.remove_part(part)
    flattened = FlatStore(folder.store).folder.rglob("*")
    for path in [*unreadable.files, *(path for path in flattened if path.is_file())]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot remove {path}: {error.strerror or error}") from error
