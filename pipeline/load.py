"""Raw parts into the warehouse: flattened, then put in by owner in one transaction: twice is the same as once."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import polars as pl

from pipeline.duck import Connection, frame_views, read_frame
from pipeline.errors import DamagedPartError
from pipeline.flat_parts import FlatStore
from pipeline.landing import Part, PartName, RawStore, batches_of
from pipeline.ledger import drop_unfinished, keep_ledger
from pipeline.load_frames import begin_touching, put_frames
from pipeline.part_frames import Frames, frames_of
from pipeline.pruned import forget_pruned
from pipeline.pruning import refuse_if_parts_are_gone, refuse_if_pruned
from pipeline.rewriting import leave_out_again
from pipeline.settling import settle
from pipeline.warehouse import open_for_reading, open_for_writing, open_new

# Bytes of bodies that one transaction takes: few transactions are faster, large ones need memory.
BATCH_BODY_BYTES = 24 * 2**20


def load_new_parts(
    store: RawStore,
    path: Path,
    *,
    wait_s: float,
    beside_readers: bool = True,
    loaded: Callable[[int], None] | None = None,
) -> int:
    """Load the parts that the warehouse does not hold yet; how many there were. `loaded` hears after each batch.

    Raises DamagedPartError once all others are loaded if some were damaged; these are set aside.
    """
    # Looking first, read-only: opening for writing may mean copying the file beside a reader.
    if beside_readers and not find_new_parts(store, path):
        return 0
    count = 0
    aside: list[Path | str] = []
    flat = FlatStore(store)
    with open_for_writing(path, wait_s=wait_s, beside_readers=beside_readers) as connection:
        spare_resources(connection)
        new = _missing_from(connection, store)
        # After they were listed: what is not in this list, a `forget` that runs meanwhile finds, or a later load.
        leave_out_again(store, new)
        # Some may have been flattened only after they were loaded.
        flat.drop(set(flat.list_parts()) - set(new))
        for batch, flattened in _flatten_ahead(store, new, read=lambda part: _read_sound(flat, part, aside)):
            load_flat(connection, flattened.result())
            flat.drop(batch)
            count += len(batch)
            if loaded is not None:
                loaded(count)
    if aside:
        raise DamagedPartError(
            f"{len(aside)} of {count:,} raw parts were damaged and are set aside as"
            f" {', '.join(str(path) for path in aside)}: a sync of the same threads fetches what they held"
        )
    return count


def spare_resources(connection: Connection) -> None:
    """Set DuckDB up for loads, whose batches are small.

    A second thread costs more than it does, and rows that are packed one row group at a time wait in less memory: see
    docs/performance.md.
    """
    connection.execute("set threads = 1")
    connection.execute("set write_buffer_row_group_count = 1")


def _flatten_ahead(
    store: RawStore, parts: Sequence[PartName], *, read: Callable[[PartName], Iterable[Frames]]
) -> Iterator[tuple[list[PartName], Future[list[Frames]]]]:
    """Batches of parts with their frames; the next one is flattened while DuckDB takes the one before."""

    def flatten(batch: Sequence[PartName]) -> list[Frames]:
        return [frames for part in batch for frames in read(part)]

    with ThreadPoolExecutor(1, "flatten") as thread:
        before: tuple[list[PartName], Future[list[Frames]]] | None = None
        for batch in batches_of(store, parts, body_bytes=BATCH_BODY_BYTES):
            following = batch, thread.submit(flatten, batch)
            if before is not None:
                yield before
            before = following
        if before is not None:
            yield before


def _read_sound(flat: FlatStore, part: PartName, aside: list[Path | str]) -> list[Frames]:
    """The frames of a part that is what was written; any other is set aside, and its place added to `aside`."""
    try:
        return [flat.read(part) or frames_of(flat.store.read_part(part))]
    except DamagedPartError:
        aside.append(flat.store.set_aside(part))
        return []


def find_new_parts(store: RawStore, path: Path) -> list[PartName]:
    """The parts that the warehouse, which need not be there, does not hold yet."""
    if not path.exists():
        refuse_if_pruned(store, path)
        return store.list_parts()
    with open_for_reading(path) as connection:
        return _missing_from(connection, store)


def _missing_from(connection: Connection, store: RawStore) -> list[PartName]:
    held = set(read_frame(connection, "select part from loaded_parts")["part"])
    return [part for part in store.list_parts() if part.name not in held]


def rebuild(
    store: RawStore,
    path: Path,
    *,
    wait_s: float,
    without_pruned: bool = False,
    no_ledger: Callable[[], None] | None = None,
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
        batches = _flatten_ahead(store, parts, read=lambda part: [frames_of(store.read_part(part))])
        load_batches(connection, (flattened.result() for _, flattened in batches))
        drop_unfinished(connection)
    if without_pruned:
        forget_pruned(store)
    return len(parts)


def load_parts(connection: Connection, parts: Iterable[Part]) -> None:
    """Put parts that are not loaded yet into the warehouse, all in one transaction.

    Parts are taken one by one, so that their bodies are in memory one part at a time.
    """
    load_flat(connection, (frames_of(part) for part in parts))


def load_flat(connection: Connection, parts: Iterable[Frames]) -> None:
    """The same for parts that are flattened already: the frames of each, as `frames_of` gives them."""
    flat = list(parts)
    if not flat:
        return
    load_batches(connection, [flat])


def load_batches(connection: Connection, batches: Iterable[Sequence[Frames]]) -> None:
    """The same for several batches, as one: rows follow each other, and what follows from them is seen to once.

    A commit for each would pack the last rows of every table anew.
    """
    with frame_views(connection) as show, _transaction(connection):
        begin_touching(connection)
        for parts in batches:
            frames = {f"new_{name}": pl.concat([frames[name] for frames in parts]) for name in parts[0]}
            show(frames)
            put_frames(connection, {name for name, frame in frames.items() if frame.height})
        settle(connection)


@contextlib.contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
