"""Raw parts into the warehouse: flattened, then put in by owner in one transaction: twice is the same as once."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import polars as pl

from pipeline.console.tables import count_of
from pipeline.errors import DamagedPartError, PipelineError
from pipeline.flatten.batches import FlatBatch, Flattener, InThread
from pipeline.flatten.cache import FlatStore
from pipeline.flatten.part_frames import Frames, frames_of
from pipeline.raw.parts import Part, PartName, RawStore, batches_of
from pipeline.raw.prune_record import forget_pruned
from pipeline.sqlfiles.duck import Connection, frame_views, let_go, read_frame
from pipeline.warehouse.database import open_for_reading, open_for_writing, open_new, staying_open
from pipeline.warehouse.ledger import drop_unfinished, keep_ledger
from pipeline.warehouse.loaded_parts import each_walk_once, refuse_if_parts_are_gone, refuse_if_pruned
from pipeline.warehouse.part_rewriting import leave_out_again
from pipeline.warehouse.reading_ahead import flatten_ahead
from pipeline.warehouse.transaction.seals import settle
from pipeline.warehouse.transaction.statements import begin_touching, put_frames

# Bytes of bodies that are flattened and put in at a time: few batches are faster, large ones need memory.
BATCH_BODY_BYTES = 16 * 2**20
# That one transaction takes of an ordinary load: what a killed one has to do again.
_BATCHES_AT_ONCE = 16


def load_new_parts(
    store: RawStore,
    path: Path,
    *,
    wait_s: float,
    loaded: Callable[[int], None] | None = None,
    more: Callable[[], bool] | None = None,
    flattener: Flattener | None = None,
) -> int:
    """Load the parts that the warehouse does not hold yet; how many there were. `loaded` hears after each transaction.

    With `more` this is the load in the background of a sync: parts that land meanwhile are loaded as well as long as
    that, which may wait for some, says so. Raises DamagedPartError once all others are loaded if some were damaged;
    these are set aside.
    """
    # Looking first, read-only: opening for writing may mean copying the file beside a reader.
    if more is None and not find_new_parts(store, path):
        return 0
    count = 0
    aside: list[Path | str] = []
    flat = FlatStore(store)
    with (
        _naming_damage(aside),
        open_for_writing(path, wait_s=wait_s, in_background=more is not None) as connection,
    ):
        spare_resources(connection)
        held = _held(connection)
        # Some may have been flattened only after they were loaded.
        flat.drop(part for part in flat.list_parts() if part.name in held)
        landed = _landed_batches(store, held, more)
        flattened = flatten_ahead(store, landed, flattener or InThread())
        for first in flattened:
            done: list[PartName] = []
            noted = _noting(chain([first], islice(flattened, _BATCHES_AT_ONCE - 1)), store, done, aside)
            load_batches(connection, noted, in_background=more is not None)
            flat.drop(done)
            count += len(done)
            if loaded is not None:
                loaded(count)
    return count


@contextlib.contextmanager
def all_loaded(store: RawStore, path: Path, *, wait_s: float) -> Iterator[None]:
    """Inside the block the warehouse has every part that had landed, and costs little to open for reading.

    Raises as `load_new_parts`.
    """
    with staying_open(path):
        if not find_new_parts(store, path):
            yield
            return
    load_new_parts(store, path, wait_s=wait_s)
    with staying_open(path):
        yield


@contextlib.contextmanager
def _naming_damage(aside: Sequence[Path | str]) -> Iterator[None]:
    """Raises DamagedPartError at the end of the block, also of one that fails, if parts were set aside in it."""
    failure: PipelineError | None = None
    try:
        yield
    except PipelineError as error:
        if not aside:
            raise
        failure = error
    if aside:
        then = f". Then the load failed: {failure}" if failure else ""
        raise DamagedPartError(
            f"{count_of(len(aside), 'raw parts')} damaged and set aside as {', '.join(str(path) for path in aside)}:"
            f" a sync of the same threads fetches what was held there{then}"
        )


def _landed_batches(store: RawStore, held: set[str], more: Callable[[], bool] | None) -> Iterator[list[PartName]]:
    """Batches of the parts that are not `held`: of those that are there, then of those that have landed since."""
    while True:
        new = _not_held(store, held)
        # After they were listed: what is not in this list, a `forget` that runs meanwhile finds, or a later load.
        leave_out_again(store, new)
        yield from batches_of(store, new, body_bytes=BATCH_BODY_BYTES)
        if more is None or not more():
            return
        held |= {part.name for part in new}


def _noting(
    flattened: Iterable[FlatBatch], store: RawStore, done: list[PartName], aside: list[Path | str]
) -> Iterator[list[Frames]]:
    """The frames of batches, whose parts are added to `done`; what is damaged is set aside, and its place noted."""
    for batch in flattened:
        aside.extend(store.set_aside(part) for part, _ in batch.damaged)
        done += batch.parts
        yield batch.frames


def spare_resources(connection: Connection) -> None:
    """Set DuckDB up for loads, whose batches are small.

    A second thread costs more than it does, and rows that are packed one row group at a time wait in less memory: see
    docs/performance.md.
    """
    connection.execute("set threads = 1")
    connection.execute("set write_buffer_row_group_count = 1")


def find_new_parts(store: RawStore, path: Path) -> list[PartName]:
    """The parts that the warehouse, which need not be there, does not hold yet."""
    if not path.exists():
        refuse_if_pruned(store, path)
        return store.list_parts()
    with open_for_reading(path) as connection:
        held = _held(connection)
    return _not_held(store, held)


def _held(connection: Connection) -> set[str]:
    return set(read_frame(connection, "select part from loaded_parts")["part"])


def _not_held(store: RawStore, held: set[str]) -> list[PartName]:
    return [part for part in store.list_parts() if part.name not in held]


def rebuild(
    store: RawStore,
    path: Path,
    *,
    wait_s: float,
    without_pruned: bool = False,
    no_ledger: Callable[[], None] | None = None,
    flattener: Flattener | None = None,
) -> int:
    """Make the warehouse anew from all raw parts, beside the old one, which stays until the new one is whole.

    Sealed runs keep the costs that the old one's ledger has; `no_ledger` hears when there is none to keep.
    Raises ConfigurationError if there were more parts than there are, unless that is known (`without_pruned`).
    """
    if not without_pruned:
        refuse_if_pruned(store, path)
    with open_new(path, wait_s=wait_s) as connection:
        spare_resources(connection)
        if not without_pruned:
            refuse_if_parts_are_gone(connection, store, path)
        parts = store.list_parts()
        leave_out_again(store, parts)
        if keep_ledger(connection, path) is None and no_ledger is not None:
            no_ledger()
        batches = batches_of(store, parts, body_bytes=BATCH_BODY_BYTES)
        flattened = flatten_ahead(store, batches, flattener or InThread(), anew=True)
        # Nobody sees the file before it is whole, so that it need not be one transaction.
        load_batches(connection, _refusing_damage(flattened), commit_every=_BATCHES_AT_ONCE)
        drop_unfinished(connection)
    if without_pruned:
        forget_pruned(store)
    return len(parts)


def _refusing_damage(flattened: Iterable[FlatBatch]) -> Iterator[list[Frames]]:
    for batch in flattened:
        for _, said in batch.damaged:
            raise DamagedPartError(said)
        yield batch.frames


def load_parts(connection: Connection, parts: Iterable[Part]) -> None:
    """Put parts that are not loaded yet into the warehouse, all in one transaction.

    Parts are taken one by one, so that their bodies are in memory one part at a time.
    """
    load_flat(connection, map(frames_of, parts))


def load_flat(connection: Connection, parts: Iterable[Frames]) -> None:
    """The same for parts that are flattened already: the frames of each, as `frames_of` gives them.

    Nobody is going to ask such a warehouse what anything cost: costs are not stored for views.
    """
    flat = list(parts)
    if not flat:
        return
    load_batches(connection, [flat], stores_costs=False)


def load_batches(
    connection: Connection,
    batches: Iterable[Sequence[Frames]],
    *,
    in_background: bool = False,
    commit_every: int | None = None,
    stores_costs: bool = True,
) -> None:
    """The same for several batches, as one: rows follow each other, and what follows from them is seen to once.

    A commit for each would pack the last rows of every table anew, so that there is one at the end, or after so many
    batches (`commit_every`). `in_background` little memory is held between them.
    """
    with frame_views(connection) as show, _transaction(connection):
        begin_touching(connection)
        # Of some all parts are damaged.
        for number, parts in enumerate(filter(None, batches), 1):
            together = {name: pl.concat([frames[name] for frames in parts]) for name in parts[0]}
            frames = {f"new_{name}": frame for name, frame in each_walk_once(connection, together).items()}
            show(frames)
            put_frames(connection, {name for name, frame in frames.items() if frame.height})
            if in_background:
                let_go(connection)
            if commit_every and number % commit_every == 0:
                connection.execute("commit")
                connection.execute("begin")
        settle(connection, stores=stores_costs)


@contextlib.contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
