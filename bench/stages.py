"""Where the processor time of `load --rebuild` goes: `python -m bench.stages DATA_DIR` does it stage by stage.

Then the libraries do their part of it alone, with nothing of ours between: what no code around them can be faster than.
"""

import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import polars as pl

from pipeline.flatten.garbage_collector import tune_garbage_collector
from pipeline.flatten.part_frames import Frames, frames_of
from pipeline.protocol.wire import RunsPage, StepsPage
from pipeline.raw.parts import batches_of
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, register, unregister
from pipeline.warehouse.database import open_new
from pipeline.warehouse.load import BATCH_BODY_BYTES, load_batches, spare_resources


class Laps:
    """Seconds of processor time of each stage, one after another."""

    def __init__(self) -> None:
        self.taken_s: dict[str, float] = {}
        self._last_s = time.process_time()

    def end(self, stage: str | None) -> None:
        """What was done since the last end was this stage; None: it does not count."""
        now_s = time.process_time()
        if stage is not None:
            self.taken_s[stage] = now_s - self._last_s
        self._last_s = time.process_time()


def main() -> None:
    """Seconds of each stage as JSON; the frames of all are held meanwhile."""
    tune_garbage_collector()
    store = raw_store(Path(sys.argv[1]))
    laps = Laps()
    parts = {name: store.read_part(name) for name in store.list_parts()}
    laps.end("read, unpack and verify the raw parts")
    batches = list(batches_of(store, list(parts), body_bytes=BATCH_BODY_BYTES))
    frames: list[list[Frames]] = [[frames_of(*(parts[name] for name in batch))] for batch in batches]
    laps.end("decode and flatten")
    with tempfile.TemporaryDirectory(prefix="bench-stages-") as folder:
        with open_new(Path(folder) / "warehouse.duckdb", wait_s=1.0) as connection:
            spare_resources(connection)
            laps.end("make the file, its tables and views")
            load_batches(connection, frames)
            laps.end("insert, pack, rank, seal, ledger")
        laps.end("checkpoint and close")
    del parts
    libraries = _measure_libraries([store.path(part) for part in store.list_parts()], [batch for [batch] in frames])
    print(json.dumps({"stages": laps.taken_s, "libraries": libraries}))


def _measure_libraries(parts: list[Path], frames: list[Frames]) -> dict[str, float]:
    decoders = {"steps": msgspec.json.Decoder(StepsPage), "runs": msgspec.json.Decoder(RunsPage)}
    laps = Laps()
    raw = [pl.read_parquet(part) for part in parts]
    laps.end("Polars unpacks the raw parts")
    bodies = [frame["body"].to_list() for frame in raw]
    laps.end("and hands out their bodies")
    for part in bodies:
        hashlib.sha256(b"".join(part)).hexdigest()
    laps.end("hashlib verifies them")
    pages = [row for frame in raw for row in frame.filter(kind="page").select("resource", "body").iter_rows()]
    laps.end(None)
    for resource, body in pages:
        decoders[resource].decode(body)
    laps.end("msgspec decodes the pages")
    with tempfile.TemporaryDirectory(prefix="bench-libraries-") as folder:
        with open_new(Path(folder) / "warehouse.duckdb", wait_s=1.0) as connection:
            spare_resources(connection)
            laps.end(None)
            _insert(connection, frames)
        laps.end("DuckDB inserts and packs the rows as they are")
    return laps.taken_s


def _insert(connection: Connection, batches: list[Frames]) -> None:
    """Every frame into its table, in one transaction; nothing is ranked, sealed or priced."""
    tables = {name: list(table.columns) for name, table in read_sql_files("tables").items()}
    connection.execute("begin")
    for frames in batches:
        for table in tables.keys() & frames.keys():
            frame = frames[table].with_columns(sealed=False) if table == "runs" else frames[table]
            register(connection, "batch", frame)
            columns = ", ".join(name for name in tables[table] if name in frame.columns)
            connection.execute(f"insert into {table} ({columns}) select {columns} from batch")
            unregister(connection, "batch")
    connection.execute("commit")


if __name__ == "__main__":
    main()
