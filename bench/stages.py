"""Where the processor time of `load --rebuild` goes: `python -m bench.stages DATA_DIR` does it stage by stage."""

import json
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Seconds of each stage as JSON, one after another; the frames of all are held meanwhile."""
    from pipeline.landing import batches_of
    from pipeline.load import BATCH_BODY_BYTES, load_batches, spare_resources
    from pipeline.part_frames import frames_of
    from pipeline.raw_places import raw_store
    from pipeline.warehouse import open_new

    store = raw_store(Path(sys.argv[1]))
    taken_s: dict[str, float] = {}
    last_s = time.process_time()

    def lap(stage: str) -> None:
        nonlocal last_s
        taken_s[stage] = time.process_time() - last_s
        last_s = time.process_time()

    parts = {name: store.read_part(name) for name in store.list_parts()}
    lap("read, unpack and verify the raw parts")
    batches = list(batches_of(store, list(parts), body_bytes=BATCH_BODY_BYTES))
    frames = [[frames_of(*(parts[name] for name in batch))] for batch in batches]
    lap("decode and flatten")
    with tempfile.TemporaryDirectory(prefix="bench-stages-") as folder:
        with open_new(Path(folder) / "warehouse.duckdb", wait_s=1.0) as connection:
            spare_resources(connection)
            lap("make the file, its tables and views")
            load_batches(connection, frames)
            lap("insert, pack, rank, seal, ledger")
        lap("checkpoint and close")
    print(json.dumps(taken_s))


if __name__ == "__main__":
    main()
