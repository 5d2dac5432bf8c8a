"""Raw parts into the warehouse: flattened, then put in by owner in one transaction: twice is the same as once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from pipeline.bills import billed_frame
from pipeline.catalog import read_sql_files
from pipeline.errors import DamagedPartError
from pipeline.flatten import flatten
from pipeline.landing import Part, PartName, RawStore, batches_of
from pipeline.ledger import drop_unfinished, keep_ledger
from pipeline.load_frames import load_frames
from pipeline.pages import INSTANT
from pipeline.warehouse import (
    Connection,
    open_for_reading,
    open_for_writing,
    open_new,
    read_frame,
    register,
    unregister,
)

# Bytes of bodies that one transaction takes: few transactions are faster, large ones need memory.
BATCH_BODY_BYTES = 48 * 2**20


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
    if not _find_new_parts(store, path):
        return 0
    count = 0
    aside: list[Path] = []
    with open_for_writing(path, wait_s=wait_s, beside_readers=beside_readers) as connection:
        new = _missing_from(connection, store)
        for batch in batches_of(store, new, body_bytes=BATCH_BODY_BYTES):
            load_parts(connection, _read_sound(store, batch, aside))
            count += len(batch)
            if loaded is not None:
                loaded(count)
    if aside:
        raise DamagedPartError(
            f"{len(aside)} of {count:,} raw parts were damaged and are set aside as"
            f" {', '.join(str(path) for path in aside)}: a sync of the same threads fetches what they held"
        )
    return count


def _read_sound(store: RawStore, parts: Sequence[PartName], aside: list[Path]) -> Iterator[Part]:
    """The parts that are what was written; others are set aside and added to `aside`."""
    for part in parts:
        try:
            yield store.read_part(part)
        except DamagedPartError:
            aside.append(store.set_aside(part))


def _find_new_parts(store: RawStore, path: Path) -> list[PartName]:
    if not path.exists():
        return store.list_parts()
    with open_for_reading(path) as connection:
        return _missing_from(connection, store)


def _missing_from(connection: Connection, store: RawStore) -> list[PartName]:
    held = set(read_frame(connection, "select part from loaded_parts")["part"])
    return [part for part in store.list_parts() if part.name not in held]


def rebuild(store: RawStore, path: Path, *, wait_s: float, no_ledger: Callable[[], None] | None = None) -> int:
    """Make the warehouse anew from all raw parts, beside the old one, which stays until the new one is whole.

    Sealed runs keep the costs that the old one's ledger has; `no_ledger` hears when there is none to keep.
    """
    parts = store.list_parts()
    with open_new(path, wait_s=wait_s) as connection:
        if keep_ledger(connection, path) is None and no_ledger is not None:
            no_ledger()
        for batch in batches_of(store, parts, body_bytes=BATCH_BODY_BYTES):
            load_parts(connection, (store.read_part(part) for part in batch))
        drop_unfinished(connection)
    return len(parts)


def load_parts(connection: Connection, parts: Iterable[Part]) -> None:
    """Put parts that are not loaded yet into the warehouse, all in one transaction.

    Parts are taken one by one, so that their bodies are in memory one part at a time.
    """
    flat = [{**flatten(part.walks), **_bookkeeping([part])} for part in parts]
    if not flat:
        return
    frames = {name: pl.concat([frames[name] for frames in flat]) for name in flat[0]}
    for name, frame in frames.items():
        register(connection, f"new_{name}", frame)
    connection.execute("begin")
    try:
        load_frames(connection)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    for name in frames:
        unregister(connection, f"new_{name}")


def _bookkeeping(parts: Sequence[Part]) -> dict[str, pl.DataFrame]:
    """Frames of what the parts say about themselves: plans, syncs and loaded_parts."""
    plans = [(part.part.source, thread, seen_at) for part in parts for thread, seen_at in part.planned_threads]
    syncs = [(part.part.sync_id, part.part.source, summary) for part in parts for summary in part.summaries]
    sync_columns = read_sql_files("tables")["syncs"].columns
    sync_types = {"varchar": pl.String(), "json": pl.String(), "bigint": pl.Int64(), "timestamptz": INSTANT}
    return {
        "plans": pl.DataFrame(
            plans, schema={"source": pl.String, "thread_id": pl.String, "seen_at": INSTANT}, orient="row"
        ),
        "syncs": pl.DataFrame(
            [
                [sync_id, source, *(_json_text(getattr(summary, name)) for name in list(sync_columns)[2:])]
                for sync_id, source, summary in syncs
            ],
            schema={name: sync_types[sql] for name, sql in sync_columns.items()},
            orient="row",
        ),
        "billed_usage": billed_frame(bill for part in parts for bill in part.bills).with_row_index("row_number"),
        "loaded_parts": pl.DataFrame(
            [_part_row(part) for part in parts],
            schema={
                "part": pl.String,
                "sync_id": pl.String,
                "source": pl.String,
                "page_count": pl.Int64,
                "walk_count": pl.Int64,
                "size_bytes": pl.Int64,
                "landed_at": INSTANT,
            },
            orient="row",
        ),
    }


def _json_text(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else value


def _part_row(part: Part) -> tuple[str, str, str, int, int, int, datetime]:
    pages = sum(len(walk.pages) for walk in part.walks)
    name = part.part
    return name.name, name.sync_id, name.source, pages, len(part.walks), part.size_bytes, part.landed_at
