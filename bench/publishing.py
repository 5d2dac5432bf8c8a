"""`publish delta` in its two parts: what tasks of a cluster can do, and what one process has to."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Parts:
    """Processor seconds to work out what all batches change, and to commit it; bytes of the bodies that they had."""

    change_s: float
    commit_s: float
    body_bytes: int


def publish_in_parts(data_dir: Path, place: Path) -> Parts:
    """Publish what the lake does not have of a data folder, batch after batch in this process."""
    from pipeline.lake.batch_changes import BatchJob, Reading, change_batch
    from pipeline.lake.publishing import BATCH_BODY_BYTES
    from pipeline.lake.store import Lake
    from pipeline.raw.parts import batches_of
    from pipeline.raw.places import raw_store
    from pipeline.sqlfiles.price_book import read_price_book
    from pipeline.warehouse.database import warehouse_path

    store, lake, book = raw_store(data_dir), Lake(str(place)), read_price_book()
    reading = Reading(lake.open_for_writing())
    held = set(reading.snapshot.scan("loaded_parts").select("part").collect()["part"])
    new = [part for part in store.list_parts() if part.name not in held]
    change_s = commit_s = 0.0
    for parts in batches_of(store, new, body_bytes=BATCH_BODY_BYTES):
        state, warehouse = reading.snapshot.state, warehouse_path(data_dir)
        kept = warehouse if warehouse.exists() else None
        job = BatchJob(parts, store.folder, lake.place, state, book, kept, reading.commits)
        begun_s = time.process_time()
        # As a task does, which has not got the lake open.
        found = change_batch(job, lake.open_at(state), flat={})
        changed_s = time.process_time()
        reading.commit(found)
        change_s += changed_s - begun_s
        commit_s += time.process_time() - changed_s
    return Parts(round(change_s, 3), round(commit_s, 3), sum(store.read_body_bytes(part) for part in new))
