"""Forgetting: threads, or contents kept in full, leave raw parts, flattened parts and the warehouse for good.

The record of forgotten threads comes first, the raw parts one by one after it, the warehouse last. Whatever dies
between, the same command again finishes it: what the record names is removed wherever it is still found.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl
from msgspec import Raw

from pipeline.catalog import read_sql_files
from pipeline.duck import Connection, attached, read_frame, register
from pipeline.errors import ConfigurationError, DamagedPartError, WarehouseLockedError
from pipeline.flat_parts import FlatStore
from pipeline.flatten import flatten
from pipeline.forgotten import Forgotten, add_forgotten, read_forgotten
from pipeline.hiding import ContentKey
from pipeline.json_text import text_of
from pipeline.landing import RawStore
from pipeline.load import load_new_parts, rebuild
from pipeline.pruning import refuse_if_pruned, sweep_leftovers
from pipeline.rewriting import parts_of, rewrite_part, with_contents_hidden, without_threads
from pipeline.warehouse import DAMAGED, open_for_reading, open_new
from pipeline.writer_lock import only_writer

# Tables that a new warehouse has rows in before anything is copied into it.
_OWN_ROWS = frozenset({"prices", "price_discounts", "schema_version"})

# Grain: a thread that any table has.
_STORED = """
select source, thread_id, cast(sum(runs) as bigint) as runs, cast(sum(steps) as bigint) as steps
from (
    select source, thread_id, 0 as runs, 0 as steps from threads
    union all select source, thread_id, 0, 0 from walks
    union all select source, thread_id, 1, 0 from runs
    union all select source, thread_id, 0, 1 from run_steps
) as rows
where thread_id is not null
group by source, thread_id
"""
_CHILDREN = "select distinct source, thread_id, child_thread_id from tool_calls where child_thread_id is not null"
_METADATA = """
select source, thread_id, metadata from runs where metadata is not null
union all
select source, thread_id, metadata from run_steps where metadata is not null
"""
_FORGOTTEN_RUNS = """
create or replace temp table forgotten_runs as
select distinct source, run_id
from (
    select source, thread_id, run_id from kept.walks
    union all select source, thread_id, run_id from kept.runs
    union all select source, thread_id, run_id from kept.run_steps
    union all select source, thread_id, run_id from kept.tool_calls
) as rows
semi join forgotten_threads using (source, thread_id)
where run_id is not null
"""
# Which rows stay, by the column that says whose they are.
_KEPT = {
    column: f"({column} is null or (source, {column}) not in (select (source, {column}) from {relation}))"
    for column, relation in (("thread_id", "forgotten_threads"), ("run_id", "forgotten_runs"))
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which threads to forget: by id, and by values of metadata as pairs of key and value; of one source or of all."""

    thread_ids: Sequence[str] = ()
    metadata: Sequence[tuple[str, str]] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A thread to forget, what the warehouse has of it, and why it is one."""

    source: str
    thread_id: str
    runs: int
    steps: int
    why: str


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything is; `lock_wait_s` is how long to wait for another process that writes."""

    data_dir: Path
    store: RawStore
    warehouse: Path
    lock_wait_s: float = 30.0

    def unreadable(self) -> list[Path]:
        """Files that were set aside because they are damaged: nobody can tell what is in them."""
        folders = (self.data_dir, *(path for path in self.store.folder.glob("*") if path.is_dir()))
        return sorted(path for folder in folders for path in folder.glob(f"*{DAMAGED}") if path.is_file())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process forgets anything here meanwhile. Raises WarehouseLockedError."""
        with ExitStack() as stack:
            try:
                stack.enter_context(only_writer(self.data_dir / "forget", wait_s=self.lock_wait_s))
            except WarehouseLockedError as error:
                raise WarehouseLockedError(
                    f"another `forget` is at work in {self.data_dir}: wait, then retry"
                ) from error
            yield

    def load(self) -> None:
        """Bring the warehouse up to date; parts that turn out damaged are set aside."""
        try:
            load_new_parts(self.store, self.warehouse, wait_s=self.lock_wait_s)
        except DamagedPartError:
            return


def find_targets(folder: DataFolder, wanted: Wanted, keys: dict[str, ContentKey]) -> list[Target]:
    """The threads, those of connected agents that they called, and those that an earlier run did not finish.

    `keys` are those of sources whose metadata is hidden. Raises ConfigurationError if there is no data.
    """
    folder.load()
    if not folder.warehouse.exists():
        raise ConfigurationError(f"there is no data in {folder.data_dir}: nothing to forget")
    forgotten = read_forgotten(folder.data_dir)
    with open_for_reading(folder.warehouse) as connection:
        rows = read_frame(connection, _STORED).iter_rows()
        stored = {(source, thread_id): (runs, steps) for source, thread_id, runs, steps in rows}
        children = read_frame(connection, _CHILDREN).rows()
        tagged = [*read_frame(connection, _METADATA).iter_rows()] if wanted.metadata else []
    why = {thread: "forgotten before" for thread in stored if forgotten.has(*thread)}
    why |= {thread: "named" for thread in stored if thread[1] in wanted.thread_ids}
    if wanted.metadata:
        # Raw parts also tell of metadata that was another before.
        tagged += _raw_metadata(folder.store, wanted.source)
        why = {**dict(_by_metadata(tagged, wanted.metadata, keys)), **why}
    chosen = {thread: reason for thread, reason in why.items() if wanted.source in (None, thread[0])}
    _add_children(chosen, children)
    counts = {thread: stored.get(thread, (0, 0)) for thread in chosen}
    return [
        Target(source, thread_id, *counts[source, thread_id], why=reason)
        for (source, thread_id), reason in sorted(chosen.items())
    ]


def forget_threads(folder: DataFolder, targets: Sequence[Target], *, now: datetime) -> int:
    """Remove the threads everywhere; how many raw parts were rewritten. Unreadable files go as well."""
    forgotten = add_forgotten(folder.data_dir, ((target.source, target.thread_id) for target in targets), now=now)
    _remove_needless(folder)
    rewritten = sum(
        rewrite_part(folder.store, part, lambda rows: without_threads(rows, forgotten))
        for part in parts_of(folder.store, None)
    )
    _rewrite_warehouse(folder, forgotten)
    return rewritten


def leave_out_again(store: RawStore, data_dir: Path) -> None:
    """Remove forgotten threads from parts that came from elsewhere and are not loaded yet."""
    forgotten = read_forgotten(data_dir)
    for part in store.list_parts() if forgotten.threads else ():
        if rewrite_part(store, part, lambda rows: without_threads(rows, forgotten)):
            FlatStore(store).drop([part])


def forget_contents(folder: DataFolder, source: str, key: ContentKey) -> int:
    """Hide what a source still holds in full; how many raw parts were rewritten.

    The warehouse is rebuilt from them. Raises ConfigurationError where it could not be: parts were pruned.
    """
    folder.load()
    refuse_if_pruned(folder.store, folder.warehouse)
    _remove_needless(folder)
    rewritten = sum(
        rewrite_part(folder.store, part, lambda rows: with_contents_hidden(rows, key))
        for part in parts_of(folder.store, source)
    )
    rebuild(folder.store, folder.warehouse, wait_s=folder.lock_wait_s)
    return rewritten


def _raw_metadata(store: RawStore, source: str | None) -> Iterator[tuple[str, str, str]]:
    for part in parts_of(store, source):
        frames = flatten(store.read_part(part).walks)
        for table in ("runs", "run_steps"):
            yield from frames[table].select("source", "thread_id", "metadata").drop_nulls().iter_rows()


def _by_metadata(
    tagged: Iterable[tuple[str, str, str]], pairs: Sequence[tuple[str, str]], keys: dict[str, ContentKey]
) -> Iterator[tuple[tuple[str, str], str]]:
    for source, thread_id, text in tagged:
        values = _values_of(text)
        for key, value in pairs:
            hidden = keys[source].hide(value) if source in keys else None
            if key in values and values[key] in (value, hidden):
                yield (source, thread_id), f"metadata {key}={value}"


def _values_of(text: str) -> dict[str, str | None]:
    """The metadata of a run or a step, with texts as they are and other values as JSON."""
    try:
        return {key: text_of(raw) for key, raw in msgspec.json.decode(text, type=dict[str, Raw]).items()}
    except msgspec.DecodeError:
        return {}


def _add_children(chosen: dict[tuple[str, str], str], calls: Sequence[tuple[str, str, str]]) -> None:
    """Add the threads of connected agents that chosen threads called, those that they called, and so on."""
    called: dict[tuple[str, str], list[str]] = {}
    for source, parent, child in calls:
        called.setdefault((source, parent), []).append(child)
    left = list(chosen)
    while left:
        source, parent = left.pop()
        for child in called.get((source, parent), []):
            if (source, child) not in chosen:
                chosen[source, child] = f"connected agent of {parent}"
                left.append((source, child))


def _rewrite_warehouse(folder: DataFolder, forgotten: Forgotten) -> None:
    """Copy everything else into a new file: rows that are deleted stay in the old file's blocks."""
    with (
        open_new(folder.warehouse, wait_s=folder.lock_wait_s) as connection,
        attached(connection, folder.warehouse, "kept"),
    ):
        _register_forgotten(connection, forgotten)
        for name, table in read_sql_files("tables").items():
            if name not in _OWN_ROWS:
                kept = [rule for column, rule in _KEPT.items() if column in table.columns] or ["true"]
                where = " and ".join(kept)
                connection.execute(f"insert into {name} by name select columns(*) from kept.{name} where {where}")
        _refresh_parts(connection, folder.store)


def _register_forgotten(connection: Connection, forgotten: Forgotten) -> None:
    """Make the relations forgotten_threads and forgotten_runs."""
    known = read_frame(
        connection,
        "select distinct source, thread_id from (select source, thread_id from kept.threads"
        " union all select source, thread_id from kept.walks union all select source, thread_id from kept.runs"
        " union all select source, thread_id from kept.run_steps) as rows where thread_id is not null",
    )
    gone = [thread for thread in known.iter_rows() if forgotten.has(*thread)]
    threads = pl.DataFrame(gone, schema={"source": pl.String, "thread_id": pl.String}, orient="row")
    register(connection, "forgotten_threads", threads)
    connection.execute(_FORGOTTEN_RUNS)


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


def _remove_needless(folder: DataFolder) -> None:
    """Remove files that nobody needs and that may hold anything: half written, unreadable, and flattened parts."""
    sweep_leftovers(folder.store)
    flattened = FlatStore(folder.store).folder.rglob("*")
    for path in [*folder.unreadable(), *(path for path in flattened if path.is_file())]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot remove {path}: {error.strerror or error}") from error
